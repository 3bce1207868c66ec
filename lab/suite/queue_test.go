package suite

import (
	"slices"
	"sync"
	"testing"
)

// TestQueue has hosts share packages: each is done once, and the long ones first.
func TestQueue(t *testing.T) {
	q := newQueue([]Package{{Dir: "xenctrl"}, {Dir: "cmd/xl"}, {Dir: "examples"}, {Dir: "lab/interop"}, {Dir: "xenstore"}})
	first, _ := q.next()
	if first.Dir != "lab/interop" {
		t.Errorf("%s is begun first", first.Dir)
	}
	var mu sync.Mutex
	done := []string{first.Dir}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				p, ok := q.next()
				if !ok {
					return
				}
				mu.Lock()
				done = append(done, p.Dir)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(done)
	if want := []string{"cmd/xl", "examples", "lab/interop", "xenctrl", "xenstore"}; !slices.Equal(done, want) {
		t.Errorf("done: %q, want %q", done, want)
	}
}

// TestJobs counts what a whole run is made of.
func TestJobs(t *testing.T) {
	r := &runner{Options: Options{Targets: Targets(), Packages: []string{allPackages}}, tests: []Package{{Dir: "xenctrl"}, {Dir: "lab/move"}}}
	pairs := 0
	for _, target := range Targets() {
		pairs += len(r.peers(target))
		if got := r.packagesOf(target); len(got) != 1 || got[0].Dir != "xenctrl" {
			t.Errorf("%s: %v", target, got)
		}
	}
	if got, want := len(r.jobs()), 4+pairs; got != want {
		t.Errorf("%d jobs, want %d: four hosts and %d pairs", got, want, pairs)
	}
}
