package device

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// TestDriverDomainIsSilent removes devices of another domain that does not do its part.
func TestDriverDomainIsSilent(t *testing.T) {
	for _, tt := range []struct {
		name    string
		backend *fakeBackend
		before  func(*world)
		safe    error // of asking the guest
		left    bool  // after that
	}{
		{"a backend that never closes", &fakeBackend{sticky: true}, nil, ErrTimeout, true},
		{"no hotplug daemon", &fakeBackend{}, nil, ErrTimeout, true},
		{"the domain is gone", &fakeBackend{}, func(w *world) { w.must(w.store.Rm(w.Context(), "/local/domain/3")) }, nil, false},
		{"all is well", &fakeBackend{removes: true}, nil, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.backend)
			w.set.Timeouts.Detach = 200 * time.Millisecond
			w.must(w.store.Write(t.Context(), "/local/domain/3/domid", "3"))
			dev, err := w.set.AddDisk(t.Context(), 5, &Disk{VDev: "xvdb", Target: "/dev/there", BackendDom: 3}, AddOptions{Type: PVH})
			w.must(err)
			if tt.before != nil {
				tt.before(w)
			}
			if err := w.set.Remove(t.Context(), dev, Safe); !errors.Is(err, tt.safe) {
				t.Errorf("Remove, asking: %v, want %v", err, tt.safe)
			}
			if left := len(w.driverLeft()) > 0; left != tt.left {
				t.Errorf("after asking there is left: %q", w.driverLeft())
			}
			w.must(w.set.RemoveAll(t.Context(), 5))
			if left := w.driverLeft(); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// TestForcedRemovalTellsOfSilence: only who destroys the guest needs no word of it.
func TestForcedRemovalTellsOfSilence(t *testing.T) {
	w := newWorld(t, &fakeBackend{})
	w.set.Timeouts.Detach = 100 * time.Millisecond
	dev, err := w.set.AddDisk(t.Context(), 5, &Disk{VDev: "xvdb", Target: "/dev/there", BackendDom: 3}, AddOptions{Type: PVH})
	w.must(err)
	if err := w.set.Remove(t.Context(), dev, Forced); !errors.Is(err, ErrTimeout) || !strings.Contains(err.Error(), "xl devd") {
		t.Errorf("Remove by force: %v", err)
	}
	if left := w.driverLeft(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestImageOfAPausedGuestElsewhere closes it so that the hotplug daemon there, ours or
// libxl's, removes it.
func TestImageOfAPausedGuestElsewhere(t *testing.T) {
	w := newWorld(t, nil)
	w.set.State = func(context.Context, DomID) (GuestState, error) { return GuestState{Paused: true}, nil }
	dev, err := w.set.AddDisk(t.Context(), 5, &Disk{VDev: "xvdb", Target: "/x.qcow2", Format: FormatQCow2, BackendDom: 3}, AddOptions{Type: PVH})
	w.must(err)
	done := make(chan error, 1)
	go func() {
		ctx := context.WithoutCancel(t.Context())
		_, err := w.store.Await(ctx, dev.BackendPath()+"/state", func(v string, exists bool) bool { return v == "6" || !exists })
		online, rerr := w.store.Read(ctx, dev.BackendPath()+"/online")
		if rerr == nil && online != "0" {
			rerr = errors.New("closed, but online=" + online)
		}
		done <- errors.Join(err, rerr, w.store.Rm(ctx, dev.BackendPath()))
	}()
	w.must(w.set.RemoveAll(t.Context(), 5))
	w.must(<-done)
	if left := w.driverLeft(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// driverLeft is left, of domain 3's backends.
func (w *world) driverLeft() []string {
	left := w.left()
	for _, p := range w.srv.Paths() {
		if strings.HasPrefix(p, "/local/domain/3/backend/") {
			left = append(left, p)
		}
	}
	return left
}

func TestServedAt(t *testing.T) {
	want := Device{Dom: 5, Kind: VBD, ID: 51712, Backend: 3, BackendKind: QDisk}
	for path, ok := range map[string]bool{
		"/local/domain/3/backend/qdisk/5/51712":              true,
		"/local/domain/3/backend/qdisk/5/51712/state":        true,
		"/local/domain/3/backend/qdisk/5/51712/queue-0/ring": true,
		"/local/domain/3/backend/qdisk/5":                    false,
		"/local/domain/3/backend/qdisk/05/51712":             false,
		"/local/domain/3/backend/qdisk/5/+51712":             false,
		"/local/domain/3/backend/disk/5/51712":               false,
		"/local/domain/3/device/vbd/5/51712":                 false,
		"local/domain/3/backend/qdisk/5/51712":               false,
		"":                                                   false,
	} {
		got, is := ServedAt(path)
		if is != ok || ok && got != want {
			t.Errorf("%q: %+v, %v", path, got, is)
		}
	}
}

// FuzzServedAt: what names a device is below that device's own path, and names no other.
func FuzzServedAt(f *testing.F) {
	for _, path := range []string{"/local/domain/3/backend/vif/5/0/state", "/local/domain/03/backend/vif/5/0", "/local/domain/3/backend/qdisk/5/51712/x/y"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		d, ok := ServedAt(path)
		if !ok {
			return
		}
		own := d.BackendPath()
		if rest, below := strings.CutPrefix(path, own); !below || rest != "" && rest[0] != '/' {
			t.Errorf("%q is said to belong to %s", path, own)
		}
		if again, ok := ServedAt(own); !ok || again != d {
			t.Errorf("%q: %+v, but its own path is %+v", path, d, again)
		}
	})
}
