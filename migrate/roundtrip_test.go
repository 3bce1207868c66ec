package migrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/migrate/stream"
	"goxl/xenctrl/abi"
)

// shapes are the guests that are moved.
var shapes = []struct {
	name string
	kind config.DomainType
	boot bootOptions
}{
	{"PV with a linear list", config.TypePV, bootOptions{}},
	{"PV with a tree", config.TypePV, bootOptions{tree: true}},
	{"PVH", config.TypePVH, bootOptions{}},
}

// restore goes on with a saved guest.
func (w *world) restore(saved []byte, o domains.CreateOptions) abi.DomID {
	w.Helper()
	r := bytes.NewReader(saved)
	in, err := Open(r)
	w.must(err)
	id, err := in.Restore(w.Context(), w.m, o)
	w.must(err)
	if r.Len() > 0 {
		w.Errorf("%d bytes were not read", r.Len())
	}
	return id
}

func TestSaveRestore(t *testing.T) {
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) { saveAndRestore(t, s.kind, s.boot, SaveOptions{}) })
		t.Run(s.name+", packed", func(t *testing.T) { saveAndRestore(t, s.kind, s.boot, SaveOptions{Packed: true}) })
	}
}

// TestSaveFinish has what a caller does in the end fail: the guest runs on.
func TestSaveFinish(t *testing.T) {
	full := errors.New("the disk is full")
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			w := newWorld(t)
			id := w.boot(s.kind, s.boot)
			var saved bytes.Buffer
			finish := func(context.Context) error {
				if d, _ := w.xen.Domain(id); !d.Shutdown {
					t.Error("the guest runs while its file is finished")
				}
				if _, err := stream.Verify(bytes.NewReader(saved.Bytes()), stream.Options{Strict: true}); err != nil {
					t.Errorf("before everything was written: %v", err)
				}
				return full
			}
			if err := Save(t.Context(), w.m, id, &saved, SaveOptions{Finish: finish}); !errors.Is(err, full) {
				t.Errorf("Save: %v", err)
			}
			w.runs(id)
		})
	}
}

func saveAndRestore(t *testing.T, kind config.DomainType, boot bootOptions, o SaveOptions) {
	w := newWorld(t)
	id := w.boot(kind, boot)
	want := w.dump(id, false)
	var saved bytes.Buffer
	o.Timeline = new(Timeline)
	w.must(Save(t.Context(), w.m, id, &saved, o))
	if d := o.Timeline; d.Wire != int64(saved.Len()) || (d.Wire != d.Stream) != o.Packed || d.Wire > d.Stream || d.Rest == 0 {
		t.Errorf("%d bytes were written; the timeline says %d, for %d of the stream, %d pages", saved.Len(), d.Wire, d.Stream, d.Rest)
	}
	if d, _ := w.xen.Domain(id); !d.Shutdown || w.xen.Mappings(id) > 0 {
		t.Errorf("after Save: suspended %t, %d mappings", d.Shutdown, w.xen.Mappings(id))
	}
	w.must(w.m.Destroy(t.Context(), id))
	w.nothing()
	other := newWorld(t)
	got := other.restore(saved.Bytes(), domains.CreateOptions{})
	other.runs(got)
	other.same(want, other.dump(got, true))
	other.must(other.m.Destroy(t.Context(), got))
	other.nothing()
}

// TestRestoreDoesNotWaitForConsole restores a guest while no console daemon runs: it
// goes on all the same, and whoever wants to wait for its console can.
func TestRestoreDoesNotWaitForConsole(t *testing.T) {
	w := newWorld(t)
	id := w.boot(config.TypePVH, bootOptions{})
	var saved bytes.Buffer
	w.must(Save(t.Context(), w.m, id, &saved, SaveOptions{}))
	other := newWorld(t)
	other.unserved.Store(true)
	got := other.restore(saved.Bytes(), domains.CreateOptions{})
	other.runs(got)
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := other.m.AwaitConsole(soon, got); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with no console daemon: %v", err)
	}
	other.must(other.store.Write(t.Context(), fmt.Sprintf("/local/domain/%d/console/tty", got), "/dev/pts/9"))
	other.must(other.m.AwaitConsole(t.Context(), got))
	other.must(other.m.Destroy(t.Context(), got))
	other.must(other.m.AwaitConsole(t.Context(), got)) // nobody waits for one that is gone
	other.nothing()
}
