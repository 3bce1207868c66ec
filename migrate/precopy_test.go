package migrate

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"goxl/xenctrl/abi"
)

func TestLiveEnough(t *testing.T) {
	const ms = time.Millisecond
	first := round{sent: 100000, took: 10 * time.Second, dirty: 5000} // 10000 pages a second
	for _, tt := range []struct {
		name string
		live Live
		done []round
		want bool
	}{
		{"much is left after the first round", Live{}, []round{first}, false},
		{"49 pages are left", Live{}, []round{{100000, time.Second, 49}}, true},
		{"50 pages are left", Live{}, []round{{100000, time.Second, 50}}, false},
		{"nothing is left of nothing", Live{MaxDowntime: ms}, []round{{0, 0, 0}}, true},
		{"few are more when that is wanted", Live{FewPages: 5001}, []round{first}, true},
		{"four rounds that shrink", Live{}, []round{first, {5000, ms, 4000}, {4000, ms, 3000}, {3000, ms, 2000}}, false},
		{"five rounds", Live{}, []round{first, {5000, ms, 4000}, {4000, ms, 3000}, {3000, ms, 2000}, {2000, ms, 1000}}, true},
		{"one round is all that is wanted", Live{MaxRounds: 1}, []round{first}, true},
		{"one round that does not shrink may be chance", Live{}, []round{first, {5000, ms, 5000}}, false},
		{"two that do not shrink", Live{}, []round{first, {5000, ms, 5000}, {5000, ms, 5000}}, true},
		{"one shrank in between", Live{}, []round{first, {5000, ms, 5000}, {5000, ms, 4000}, {4000, ms, 4000}}, false},
		{"500 ms are left and 500 allowed", Live{MaxDowntime: 500 * ms}, []round{first}, true},
		{"500 ms are left and 499 allowed", Live{MaxDowntime: 499 * ms}, []round{first}, false},
		{"the rate of the last round counts", Live{MaxDowntime: 500 * ms}, []round{first, {5000, time.Second, 4000}}, false},
		{"more rounds for a downtime", Live{MaxDowntime: ms},
			[]round{first, {5000, 5 * ms, 4000}, {4000, 4 * ms, 3000}, {3000, 3 * ms, 2000}, {2000, 2 * ms, 1999}}, false},
		{"slowing it down has yet to do something", Live{AutoConverge: true}, []round{first, {5000, ms, 5000}, {5000, ms, 5000}}, false},
		{"30 rounds of slowing it down", Live{AutoConverge: true}, slices.Repeat([]round{first}, 30), true},
		{"nothing sent tells no rate", Live{MaxDowntime: time.Hour}, []round{{0, time.Second, 500}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.live.enough(tt.done, 100); got != tt.want {
				t.Errorf("enough after %d rounds: %t", len(tt.done), got)
			}
		})
	}
}

// steady is a guest that writes so many pages a second, within a working set.
type steady struct{ rate, set float64 }

// move plays a live transfer at some pages a second; it returns how many pages
// are left in the end and how many rounds there were.
func (g steady) move(total abi.Pages, speed float64, enough func([]round, int) bool) (left abi.Pages, rounds int) {
	var done []round
	for n := total; ; {
		took := float64(n) / speed
		dirty := abi.Pages(min(g.set, g.rate*took))
		done = append(done, round{n, time.Duration(took * float64(time.Second)), dirty})
		if enough(done, 100) {
			return dirty, len(done)
		}
		n = dirty
	}
}

// Whatever a guest does steadily, the default leaves no more pages for the
// downtime than the genuine tools' policy, and takes no more rounds.
func TestLiveIsNoWorseThanGenuine(t *testing.T) {
	genuine := func(done []round, _ int) bool { return done[len(done)-1].dirty < 50 || len(done) >= 5 }
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.IntRange(1, 1<<24).Draw(t, "pages")
		g := steady{rapid.Float64Range(0, 1e6).Draw(t, "rate"), rapid.Float64Range(0, float64(total)).Draw(t, "working set")}
		speed := rapid.Float64Range(1e3, 1e6).Draw(t, "speed")
		left, rounds := g.move(abi.Pages(total), speed, new(Live).enough)
		most, mostRounds := g.move(abi.Pages(total), speed, genuine)
		if left > most || rounds > mostRounds {
			t.Errorf("%d pages left after %d rounds, the genuine policy has %d after %d", left, rounds, most, mostRounds)
		}
	})
}

// A downtime that is asked for is kept whenever the guest ends before it must.
func TestLiveKeepsDowntime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.IntRange(1<<10, 1<<24).Draw(t, "pages")
		speed := rapid.Float64Range(1e3, 1e6).Draw(t, "speed")
		g := steady{rate: speed * rapid.Float64Range(0, 0.5).Draw(t, "share"), set: float64(total)} // each round at most half of the one before
		allowed := time.Duration(rapid.IntRange(1, 1000).Draw(t, "ms")) * time.Millisecond
		left, rounds := g.move(abi.Pages(total), speed, (&Live{MaxDowntime: allowed}).enough)
		took := time.Duration(float64(left) / speed * float64(time.Second))
		if took > allowed+time.Millisecond && left >= 50 || rounds > 30 {
			t.Errorf("%s for %d pages after %d rounds, %s allowed", took, left, rounds, allowed)
		}
	})
}

func TestLiveKeep(t *testing.T) {
	for _, tt := range []struct {
		name      string
		on        bool
		sent      abi.Pages
		dirty     abi.Pages
		had, want int
	}{
		{"not asked for", false, 100, 200, 100, 100},
		{"it converges", true, 100, 50, 100, 100},
		{"it does not", true, 100, 51, 100, 70},
		{"again", true, 100, 51, 70, 49},
		{"it converges, slow", true, 100, 50, 49, 49},
		{"the least", true, 100, 100, 12, 10},
		{"no less than that", true, 100, 100, 10, 10},
		{"nothing is left", true, 0, 0, 100, 100},
	} {
		l := &Live{AutoConverge: tt.on}
		if got := l.keep(round{sent: tt.sent, dirty: tt.dirty}, tt.had); got != tt.want {
			t.Errorf("%s: %d %%, want %d", tt.name, got, tt.want)
		}
	}
}

// A guest that writes as fast as its processor time lets it, and twice as fast as can
// be sent, ends with few pages left; it has at most what it had before in each round, and
// never less than a tenth.
func TestLiveConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := abi.Pages(rapid.IntRange(1<<12, 1<<22).Draw(t, "pages"))
		speed := rapid.Float64Range(1e4, 1e6).Draw(t, "speed")
		g := steady{rate: speed * rapid.Float64Range(0.1, 4).Draw(t, "share"), set: float64(total)}
		l := &Live{AutoConverge: true}
		var done []round
		for keep, n := 100, total; ; {
			took := float64(n) / speed
			dirty := abi.Pages(min(g.set, g.rate*float64(keep)/100*took))
			done = append(done, round{n, time.Duration(took * float64(time.Second)), dirty})
			if l.enough(done, keep) {
				if dirty >= total/20 && dirty >= 50 {
					t.Errorf("%d of %d pages are left after %d rounds, at %d %%", dirty, total, len(done), keep)
				}
				return
			}
			next := l.keep(done[len(done)-1], keep)
			if next > keep || next < leastKept {
				t.Errorf("%d %% after %d %%", next, keep)
			}
			keep, n = next, dirty
		}
	})
}
