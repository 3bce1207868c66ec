package supervise

import (
	"context"
	"errors"
	"strings"
	"time"

	"goxl/domains"
	"goxl/xenstore"
)

// again does something once more when it failed: what is refused now may be granted
// in a moment, and a guest that we let go for that stays down. It goes on for as
// long as the connection to xenstore was lost on the way, whose requests wait for
// the new one, and gives up after a few attempts otherwise. A domain that is gone
// is no failure.
func (g *guest) again(ctx context.Context, do func() error) error {
	for n := 0; ; {
		err := do()
		if err == nil || errors.Is(err, domains.NoDomain) || ctx.Err() != nil {
			return err
		}
		if errors.Is(err, xenstore.ErrLost) {
			g.lost(ctx, err)
			continue
		}
		if n == len(pauses) {
			return err
		}
		g.logf("trying again: %s", oneLine(err))
		pause(ctx, pauses[n])
		n++
	}
}

// pauses come between the attempts.
var pauses = [...]time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second}

// lost notes that the connection broke in the middle of something, and waits a
// moment: a daemon that closes each connection must not make us busy.
func (g *guest) lost(ctx context.Context, err error) {
	g.logf("the connection to xenstore was lost, trying again: %s", oneLine(err))
	pause(ctx, 100*time.Millisecond)
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
