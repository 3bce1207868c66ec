package migrate

import (
	"context"
	"errors"
	"fmt"

	"goxl/domains"
)

// throttle slows the guest down while it is sent.
type throttle struct {
	s    *sender
	keep int // percent of its processor time
	t    *domains.Throttle
	not  bool // it cannot be slowed down
}

// to leaves the guest so many percent. A scheduler that cannot do that is said, and
// the migration goes on without.
func (t *throttle) to(ctx context.Context, keep int) (err error) {
	if keep == t.keep {
		return nil
	}
	t.keep = keep // also when it has no effect: then more rounds are of no use
	if t.not {
		return nil
	}
	if t.t == nil {
		t.t, err = t.s.m.Throttle(ctx, t.s.id)
		if errors.Is(err, errors.ErrUnsupported) {
			t.not = true
			t.s.say("The guest cannot be slowed down: %v", err)
			return nil
		}
		if err != nil {
			return err
		}
	}
	t.s.say("The guest writes too fast: it keeps %d %% of its processor time.", keep)
	t.s.time.Slowest = keep
	return t.t.Keep(keep)
}

// end gives the guest all of its time back. When that fails the next command of ours
// tries again, so that it is only said.
func (t *throttle) end() {
	if t.t == nil {
		return
	}
	if err := t.t.End(); err != nil {
		t.s.say("%v", err)
	}
	t.t = nil
}

// say tells a person what is done to the guest.
func (s *sender) say(format string, args ...any) {
	if s.opts.Notice != nil {
		s.opts.Notice(fmt.Sprintf(format, args...))
	}
}
