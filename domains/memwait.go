package domains

import (
	"context"
	"fmt"
	"time"

	"goxl/domains/policy"
	"goxl/xenctrl/abi"
)

// SetMemAndWait is SetMem, and waits until guest id has as much memory as it was
// told, within policy.MaxMemSlack, at most patience. The error's code is NoAck when
// it does not by then: its cause is an *Unreached, and the target stays.
func (m *Manager) SetMemAndWait(ctx context.Context, id abi.DomID, size abi.KiB, patience time.Duration) error {
	before, err := m.info(id)
	if err != nil {
		return err
	}
	if err := m.SetMem(ctx, id, size); err != nil {
		return err
	}
	op := fmt.Sprintf("wait for domain %d to have %d MiB", id, size/1024)
	end := time.NewTimer(patience)
	defer end.Stop()
	for {
		d, err := m.info(id)
		if err != nil {
			return err
		}
		if follows(d.Current, size) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fail(Interrupted, id, op, context.Cause(ctx))
		case <-end.C:
			u := &Unreached{Before: before.Current, Now: d.Current, Target: size, Waited: patience}
			return &Error{Kind: NoAck, Op: op, Dom: id, Err: u, Hint: m.whyUnreached(d, u)}
		case <-time.After(m.pace.look):
		}
	}
}

// follows reports whether a domain that has so much memory does what it was told.
// Pages of the toolstack count as its own.
func follows(has, target abi.KiB) bool {
	return has <= target+policy.MaxMemSlack && has+policy.MaxMemSlack >= target
}

// whyUnreached is what to look at when a guest does not follow its target.
func (m *Manager) whyUnreached(d Domain, u *Unreached) string {
	switch {
	case d.Shutdown || d.Dying:
		return "it has ended"
	case d.Paused:
		return "it is paused, and its balloon driver with it: xl unpause"
	case u.Target > u.Now:
		if free, err := m.freeMemory(); err == nil && free < u.Target-u.Now {
			return fmt.Sprintf("the host has %d MiB free", free/1024)
		}
	}
	if u.Now == u.Before {
		return "does its kernel have a balloon driver?"
	}
	return "the target stays, so it may follow later: xl list shows what it has"
}

// Unreached is a guest that has not followed its memory target, in numbers.
type Unreached struct {
	Before, Now, Target abi.KiB
	Waited              time.Duration
}

func (u *Unreached) Error() string {
	verb, did, asked := "gave", int64(u.Before)-int64(u.Now), int64(u.Before)-int64(u.Target)
	if u.Target > u.Before {
		verb, did, asked = "took", -did, -asked
	}
	return fmt.Sprintf("it %s %d of %d MiB within %s and has %d MiB now", verb, did/1024, asked/1024, u.Waited, u.Now/1024)
}
