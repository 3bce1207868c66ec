package migrate

import (
	"context"
	"errors"
	"fmt"

	"goxl/domains"
)

// Copy is what the other side has of a guest of which nobody knew whether it started.
type Copy int

// The zero value is none of them.
const (
	CopyRuns  Copy = iota + 1 // it was started there, and is there
	CopyEnded                 // it was started there, and is gone: what is here is out of date
	CopyWaits                 // it is there, and has not been started yet
	CopyNone                  // nothing, and it never will be
)

// Away finds the guest that was called name and is suspended here since a migration
// of which the outcome is not known.
func Away(ctx context.Context, m *domains.Manager, name string) (domains.Domain, error) {
	id, err := m.ByName(ctx, name+awaySuffix)
	if err != nil {
		return domains.Domain{}, fmt.Errorf("no migration of %s is undecided here: %w", name, err)
	}
	d, err := m.Info(ctx, id)
	if err == nil && (!d.Shutdown || d.Reason != domains.Suspend) {
		err = fmt.Errorf("%s%s is not suspended: it may run, look at it", name, awaySuffix)
	}
	return d, err
}

// Resolve ends what a migration left undecided, by what the other side has: the guest
// is destroyed here if it runs there, and runs on here under its own name if nothing
// is there. In every other case, and on an error before that, it stays as it is.
func Resolve(ctx context.Context, m *domains.Manager, name string, there Copy) (Outcome, error) {
	d, err := Away(ctx, m, name)
	if err != nil {
		return Undefined, err
	}
	switch there {
	case CopyRuns:
		if err := m.Destroy(ctx, d.ID); err != nil {
			return Moved, fmt.Errorf("the guest has moved, but what is left of it here could not be removed: %w", err)
		}
		return Moved, nil
	case CopyNone:
		// The name first: while another guest has it, this one may be that one.
		if err := m.Rename(ctx, d.ID, name); err != nil {
			return Undefined, err
		}
		if err := m.Resume(ctx, d.ID); err != nil {
			if now, lost := m.Info(ctx, d.ID); lost == nil && !now.Shutdown {
				return StayedHere, err // it runs; xenstored was not told
			}
			return NotResumed, errors.Join(err, m.Rename(ctx, d.ID, name+awaySuffix))
		}
		return StayedHere, nil
	case CopyEnded:
		return Undefined, errors.New("it ran there and has ended: what is suspended here is older than its disks")
	}
	return Undefined, errors.New("it is there, and has not been started: nothing is decided")
}
