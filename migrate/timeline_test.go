package migrate

import (
	"testing"
	"time"

	"goxl/domains/config"
)

// A migration's timeline has a time for each step that was taken, and counts what
// went while the guest ran and while it did not.
func TestTimeline(t *testing.T) {
	for _, tt := range []struct {
		name string
		save SaveOptions
	}{{"live", SaveOptions{Live: &Live{MaxRounds: 1}}}, {"quick", SaveOptions{Packed: true}}} {
		t.Run(tt.name, func(t *testing.T) {
			p := &pair{src: newWorld(t), dst: newWorld(t), send: SendOptions{SaveOptions: tt.save}}
			p.id = p.src.boot(config.TypePVH, bootOptions{})
			d := new(Timeline)
			p.send.Timeline = d
			begin := time.Now()
			if outcome, err := p.migrate(t, migration{}); outcome != Moved || err != nil {
				t.Fatal(outcome, err)
			}
			all := time.Since(begin)
			sum := d.Connect + d.Headers + d.Suspend + d.Pause()
			for name, took := range map[string]time.Duration{"connect": d.Connect, "headers": d.Headers, "suspend": d.Suspend,
				"memory": d.Memory, "state": d.State, "receive": d.Receive, "hand-over": d.HandOver, "start": d.Start} {
				if took <= 0 {
					t.Errorf("%s took %s", name, took)
				}
			}
			rounds := 0
			if tt.save.Live != nil {
				rounds = 1
			}
			for _, r := range d.Rounds {
				sum += r.Took
			}
			if len(d.Rounds) != rounds || sum > all || sum < all/2 {
				t.Errorf("%d rounds, %s in all of %s", len(d.Rounds), sum, all)
			}
			if pace, ok := d.Pace(); !ok || pace.Fixed != d.Pause()-d.Memory || pace.KiBPerSecond <= 0 {
				t.Errorf("pace %+v, %t", pace, ok)
			}
		})
	}
}

func TestPredict(t *testing.T) {
	p := Pace{KiBPerSecond: 1024, Fixed: 2 * time.Second}
	if got := p.Predict(7 << 10); got != 9*time.Second {
		t.Errorf("predicted %s", got)
	}
	if _, ok := new(Timeline).Pace(); ok {
		t.Error("a pace of nothing")
	}
	if r := (Round{Dirty: 50, Took: 500 * time.Millisecond}).DirtyRate(); r != 100 {
		t.Errorf("%v pages a second", r)
	}
	if r := (Round{Dirty: 50}).DirtyRate(); r != 0 {
		t.Errorf("%v pages a second in no time", r)
	}
}
