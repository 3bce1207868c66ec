package device

import (
	"errors"
	"testing"

	"goxl/domains/host"
	"goxl/domains/host/hosttest"
)

// What a hotplug script that failed has made for a disk's file is freed, unless it
// had told xenstore of it, or was not its own.
func TestLoopOfFailedScript(t *testing.T) {
	for _, tt := range []struct {
		name        string
		fails, told bool
		left        int // loop devices, besides one that was there before
	}{
		{"succeeds", false, true, 1},
		{"fails before it tells", true, false, 0},
		{"fails when it has told", true, true, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			k := hosttest.New(w.set.Host.Kernel)
			w.set.Host.Kernel = k
			attach := func() string {
				l, err := w.set.Host.AttachLoop(w.file, false)
				w.must(err)
				w.must(l.Keep())
				w.must(l.Close())
				return l.Path
			}
			attach() // the administrator's
			err := w.set.withLoopsOf(t.Context(), w.file, func() error {
				path := attach()
				if tt.told {
					w.must(w.store.Write(t.Context(), "/local/domain/0/backend/vbd/5/51712/node", path))
				}
				if tt.fails {
					return host.ErrScript
				}
				return nil
			})
			if errors.Is(err, host.ErrScript) != tt.fails {
				t.Error(err)
			}
			if n := len(k.Loops()); n != tt.left+1 {
				t.Errorf("%d loop devices, want %d", n, tt.left+1)
			}
		})
	}
}
