package host

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// turnTimeout is how long a turn is waited for: several transactions' time. Whoever
// holds it for longer was stopped.
const turnTimeout = time.Second

// Turn waits until no other process of goxl on this host is in a transaction of
// xenstore, for a second at most, or until ctx ends, and returns what ends the turn. It
// is for xenstore.WithTurns, and makes nothing safe: where it cannot be had, as by
// somebody who is not root, transactions meet and are repeated. The lock file stays.
func (h *Host) Turn(ctx context.Context) (done func()) {
	const flags, perm = os.O_RDWR | os.O_CREATE, 0o600
	f, err := h.OpenFile(h.Turns, flags, perm)
	if os.IsNotExist(err) && h.MkdirAll(filepath.Dir(h.Turns), 0o755) == nil {
		f, err = h.OpenFile(h.Turns, flags, perm)
	}
	if err != nil {
		return func() {}
	}
	if err = h.Flock(f, unix.LOCK_EX|unix.LOCK_NB); err == unix.EWOULDBLOCK {
		soon, cancel := context.WithTimeout(ctx, turnTimeout)
		defer cancel()
		err = wait(soon, f, func() error { return h.Flock(f, unix.LOCK_EX) }, f.Close)
		if err != nil { // wait closes f
			return func() {}
		}
	}
	return func() { f.Close() }
}
