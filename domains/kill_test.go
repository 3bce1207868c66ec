package domains

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"goxl/domains/config"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
)

// attempt creates the guest in a process of its own, with the tripwire set, and
// returns the request that was hit, "" when the creation came to its end before.
func (w *world) attempt(s *config.Spec, t *tripwire) (id abi.DomID, hit string, err error) {
	w.Helper()
	w.trip.set(&tripwire{quiet: true})
	m, exit := w.process()
	defer exit()
	w.trip.set(t)
	id, err = m.Create(w.Context(), s, CreateOptions{})
	return id, w.trip.off(), err
}

// clean collects what killed creations left and fails the test unless that is all.
// A guest may only be kept where its creation came to its end.
func (w *world) clean(complete bool) {
	w.Helper()
	list, err := w.m.Collect(w.Context(), CollectOptions{})
	if err != nil {
		w.Error(err)
	}
	for _, l := range list {
		if l.Err != nil {
			w.Errorf("collect: %v", l.Err)
		}
		if l.Kept != "" && !complete {
			w.Errorf("kept domain %d: %s", l.Dom, l.Kept)
		}
		if l.Kept != "" {
			if err := w.m.Destroy(w.Context(), l.Dom); err != nil {
				w.Error(err)
			}
		}
	}
	w.nothingLeft()
	w.forgetIDs()
}

// forgetIDs has ids rest no longer.
func (w *world) forgetIDs() { os.Remove(filepath.Join(w.dir, "domid-history")) }

// fullWalk says that there is time for everything, which takes minutes: for each
// step of collections, for guests with a QEMU, for each request of a FaultWalk.
func fullWalk() bool { return *update || os.Getenv("GOXL_WALK") == "full" }

// stride is one in a full walk and n otherwise.
func stride(n int) int {
	if fullWalk() {
		return 1
	}
	return n
}

// everyKind runs a test on a world for each kind of guest. A guest with a QEMU
// takes ten times as long, so only one kind has it.
func everyKind(t *testing.T, f func(w *world, spec func() *config.Spec)) {
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			if !fullWalk() {
				t.Parallel() // a QEMU is looked for in the whole host
			}
			w := newWorld(t, xentest.Config{})
			f(w, func() *config.Spec { return w.fullSpec(kind, kind == config.TypePVH && fullWalk()) })
			w.nothingLeft()
		})
	}
}

// At whichever request the creating process dies, xl gc finds all that it made.
func TestKilledCreation(t *testing.T) {
	everyKind(t, func(w *world, spec func() *config.Spec) {
		n, kept := 0, 0
		for n = 1; !w.Failed(); n++ {
			id, hit, err := w.attempt(spec(), &tripwire{at: n, of: classes, fail: syscall.EIO, dead: true})
			if hit == "" {
				if err != nil {
					w.Fatal(err)
				}
				w.must(w.m.Destroy(w.Context(), id))
				break
			}
			if err == nil {
				kept++
			}
			w.clean(err == nil)
			if w.Failed() {
				w.Logf("killed at request %d, %s: %v", n, hit, err)
			}
		}
		w.Logf("killed at each of %d requests; after %d the guest was complete", n-1, kept)
		w.forgetIDs()
	})
}

// A gc that is killed itself, at whichever request, is made up for by the next.
func TestKilledCollection(t *testing.T) {
	everyKind(t, func(w *world, spec func() *config.Spec) {
		w.trip.set(&tripwire{})
		id := w.mustCreate(spec(), CreateOptions{})
		total := w.trip.counts()
		w.trip.off()
		w.must(w.m.Destroy(w.Context(), id))
		w.forgetIDs()
		const places = 3
		whole, runs := total[hypercalls]+total[requests]+total[systemCalls], 0
		for i := range places {
			at := whole * (2*i + 1) / (2 * places)
			for n := 1; !w.Failed(); n += stride(7) {
				_, born, err := w.attempt(spec(), &tripwire{at: at, of: classes, fail: syscall.EIO, dead: true})
				if err == nil {
					w.Fatalf("request %d was not reached", at)
				}
				m, exit := w.process()
				w.trip.set(&tripwire{at: n, of: classes, fail: syscall.EIO, dead: true})
				m.Collect(w.Context(), CollectOptions{})
				hit := w.trip.off()
				exit()
				w.clean(false)
				runs++
				if w.Failed() {
					w.Logf("creation killed at %d, %s; collection at %d, %s", at, born, n, hit)
				}
				if hit == "" {
					break
				}
			}
		}
		w.Logf("%d collections of creations killed at %d places", runs, places)
	})
}

// The guest's domain is destroyed by somebody else at whichever request.
func TestCreationOfAGuestThatDies(t *testing.T) {
	everyKind(t, func(w *world, spec func() *config.Spec) {
		n := 0
		for n = 1; !w.Failed(); n += stride(3) {
			id, hit, err := w.attempt(spec(), &tripwire{at: n, of: classes, act: w.killGuests})
			if hit == "" {
				w.must(w.m.Destroy(w.Context(), id))
				break
			}
			if err == nil { // it died too late, or before it was there
				if e := w.m.Destroy(w.Context(), id); e != nil && !errors.Is(e, NoDomain) {
					w.Error(e)
				}
			}
			w.clean(false)
			if w.Failed() {
				w.Logf("destroyed at request %d, %s: %v", n, hit, err)
			}
		}
		w.Logf("destroyed at one in %d of %d requests", stride(3), n-1)
		w.forgetIDs()
	})
}

// The guest stops itself at whichever request. Nobody minds: what its configuration
// says for that moment comes after the creation.
func TestCreationOfAGuestThatShutsDown(t *testing.T) {
	everyKind(t, func(w *world, spec func() *config.Spec) {
		n, ended := 0, 0
		for n = 1; !w.Failed(); n += stride(3) {
			id, hit, err := w.attempt(spec(), &tripwire{at: n, of: classes, act: w.stopGuests})
			if err != nil {
				w.Errorf("not created: %v", err)
			} else if d, e := w.m.Info(w.Context(), id); e != nil || d.Paused || d.Name != "guest" {
				w.Errorf("the guest: %+v, %v", d, e)
			} else if d.Shutdown {
				ended++
			}
			if err == nil {
				w.must(w.m.Destroy(w.Context(), id))
			}
			w.clean(false)
			if hit == "" {
				break
			}
			if w.Failed() {
				w.Logf("shut down at request %d, %s: %v", n, hit, err)
			}
		}
		if ended == 0 {
			w.Error("it never ended")
		}
		w.Logf("shut down at one in %d of %d requests; after %d the guest had ended", stride(3), n-1, ended)
		w.forgetIDs()
	})
}

// stopGuests has all guests but the backend domain shut themselves down.
func (w *world) stopGuests() {
	for _, id := range w.xen.IDs() {
		if id != backendDom {
			w.xen.Shutdown(id, abi.ShutdownReason(Poweroff))
			w.srv.Shutdown(id)
		}
	}
}

// killGuests destroys all guests but the backend domain, as another tool does.
func (w *world) killGuests() {
	for _, id := range w.xen.IDs() {
		if id != backendDom {
			if err := w.xen.Handle().DestroyDomain(w.Context(), id); err != nil {
				w.Error(err)
			}
			w.srv.Destroy(id)
		}
	}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Error(err)
	}
}
