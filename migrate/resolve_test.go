package migrate

import (
	"context"
	"errors"
	"testing"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/xenctrl/abi"
)

// undecided is a guest that is left suspended by a migration.
func (w *world) undecided(t *testing.T) abi.DomID {
	id := w.boot(config.TypePVH, bootOptions{})
	w.must(w.m.Suspend(t.Context(), id))
	w.must(w.m.Rename(t.Context(), id, "guest"+awaySuffix))
	return id
}

func TestResolve(t *testing.T) {
	for _, tt := range []struct {
		name  string
		there Copy
		want  Outcome
		here  string
	}{
		{"it runs there", CopyRuns, Moved, "gone"},
		{"nothing is there", CopyNone, StayedHere, "runs"},
		{"it ran there and has ended", CopyEnded, Undefined, "away"},
		{"it waits there", CopyWaits, Undefined, "away"},
		{"nobody knows", 0, Undefined, "away"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			id := w.undecided(t)
			got, err := Resolve(t.Context(), w.m, "guest", tt.there)
			if got != tt.want || (err != nil) != (tt.want == Undefined) || w.state(id) != tt.here {
				t.Errorf("outcome %d, %v; here it is %s, want %d and %s", got, err, w.state(id), tt.want, tt.here)
			}
			if tt.here == "runs" {
				w.runs(id)
			}
		})
	}
}

func TestResolveRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		does func(w *world, id abi.DomID)
		want string
	}{
		{"the name is another guest's", func(w *world, _ abi.DomID) { squat(w, "guest") }, "away"},
		{"it runs", func(w *world, id abi.DomID) { w.must(w.m.Resume(w.Context(), id)) }, "runs"},
		{"it powered off", func(w *world, id abi.DomID) {
			w.must(w.m.Resume(w.Context(), id))
			w.stop(id, abi.ShutdownPoweroff)
		}, "away"},
		{"there is none", func(w *world, id abi.DomID) { w.must(w.m.Rename(w.Context(), id, "other")) }, "suspended"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			id := w.undecided(t)
			tt.does(w, id)
			if got, err := Resolve(t.Context(), w.m, "guest", CopyNone); got != Undefined || err == nil || w.state(id) != tt.want {
				t.Errorf("outcome %d, %v, the guest is %s", got, err, w.state(id))
			}
		})
	}
}

// Whichever hypercall fails, the guest ends as the outcome says: whole and suspended
// under the name that resolve finds, running, or gone.
func TestResolveHypercallFails(t *testing.T) {
	for _, there := range []Copy{CopyRuns, CopyNone} {
		failures := 0
		for n := 1; n < 200; n++ {
			w := newWorld(t)
			id := w.undecided(t)
			before := len(w.xen.Calls())
			w.xen.FailAt(n, 1)
			got, err := Resolve(context.Background(), w.m, "guest", there)
			w.xen.FailAt(0, 0)
			done := len(w.xen.Calls()) - before
			state := w.state(id)
			switch got {
			case Undefined, NotResumed:
				if state != "away" || err == nil {
					t.Errorf("call %d: outcome %d, %v, the guest is %s", n, got, err, state)
				}
				again, err := Resolve(t.Context(), w.m, "guest", there)
				if again != Moved && again != StayedHere {
					t.Errorf("call %d: tried again: outcome %d, %v", n, again, err)
				}
			case StayedHere:
				if state != "runs" || there != CopyNone {
					t.Errorf("call %d: it should run here and is %s", n, state)
				}
			case Moved:
				if there != CopyRuns || state != "gone" && err == nil {
					t.Errorf("call %d: it should be gone and is %s, %v", n, state, err)
				}
			}
			if err != nil {
				failures++
			}
			if done < n {
				break
			}
		}
		if failures < 3 {
			t.Errorf("only %d failures", failures)
		}
	}
}

// A guest of which the other side started a copy can be resolved after any outcome
// of the window.
func TestResolveAfterHandOver(t *testing.T) {
	for _, m := range []struct {
		migration
		there Copy
		want  Outcome
	}{
		{migration{name: "the report is lost", got: report, how: ways[0]}, CopyRuns, Moved},
		{migration{name: "permission is lost", sent: permission, how: ways[0]}, CopyNone, StayedHere},
	} {
		t.Run(m.name, func(t *testing.T) {
			p := &pair{src: newWorld(t), dst: newWorld(t)}
			p.id = p.src.boot(config.TypePVH, bootOptions{})
			if outcome, err := p.migrate(t, m.migration); outcome != Undefined || err == nil {
				t.Fatal(outcome, err)
			}
			got, err := Resolve(t.Context(), p.src.m, "guest", m.there)
			if got != m.want || err != nil || errors.Is(err, domains.NoName) {
				t.Errorf("outcome %d, %v", got, err)
			}
			if n := len(p.src.running()) + len(p.dst.running()); n != 1 {
				t.Errorf("%d copies run", n)
			}
		})
	}
}
