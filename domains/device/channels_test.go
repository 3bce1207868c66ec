//go:build linux

package device

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLeaveChannels(t *testing.T) {
	pty, run := Channel{Connection: "pty"}, Channel{Connection: "socket", Path: "/var/run/xen/a"}
	home, out := Channel{Connection: "socket", Path: "/home/a"}, Channel{Connection: "socket", Path: "/run/../home/a"}
	elsewhere := Channel{Connection: "pty", BackendDom: 3}
	for _, tt := range []struct {
		name     string
		says     string // the daemon; "" does not run
		channels []Channel
		want     bool
	}{
		{"none", "", nil, true},
		{"no daemon", "", []Channel{pty}, false},
		{"all", "channels pty socket\n", []Channel{pty, run}, true},
		{"no sockets", "channels pty\n", []Channel{pty, run}, false},
		{"no sockets wanted", "channels pty\n", []Channel{pty, pty}, true},
		{"a daemon that is just starting", "\n", []Channel{pty}, false},
		{"a socket where it makes none", "channels pty socket\n", []Channel{pty, home}, false},
		{"a socket that is not where it seems", "channels pty socket\n", []Channel{out}, false},
		{"one of a driver domain", "channels pty socket\n", []Channel{elsewhere}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.set.Host.Consoled = filepath.Join(w.dir, "consoled-lock")
			if tt.says != "" {
				w.must(os.WriteFile(w.set.Host.Consoled, []byte(tt.says), 0o600))
				f, err := os.Open(w.set.Host.Consoled)
				w.must(err)
				defer f.Close()
				w.must(unix.Flock(int(f.Fd()), unix.LOCK_EX))
			}
			var channels []*Channel
			for _, c := range tt.channels {
				channels = append(channels, &c)
			}
			if got := w.set.LeaveChannels(channels...); got != tt.want {
				t.Errorf("left to the daemon %t, want %t", got, tt.want)
			}
			for i, c := range channels {
				if c.Daemon != tt.want {
					t.Errorf("channel %d: %t", i, c.Daemon)
				}
			}
		})
	}
}
