package undo

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// DefaultTimeout is how long a rollback may take as a whole when the Stack does
// not say otherwise. It covers one hotplug script (40 s) and a device that needs
// its forced retry (two times 10 s).
const DefaultTimeout = 90 * time.Second

// Stack holds the undo steps of one operation. The zero value is ready to use.
// It belongs to one goroutine.
type Stack struct {
	// Timeout bounds a whole rollback; zero means DefaultTimeout. The deadline
	// of the operation's own context does not count: it may be the very reason
	// for the rollback.
	Timeout time.Duration

	steps []step
}

type step struct {
	what string
	undo func(context.Context) error
}

// Push adds a step. What names the action that is undone, as in "create domain",
// and appears in the error if undoing it fails.
func (s *Stack) Push(what string, undo func(context.Context) error) {
	s.steps = append(s.steps, step{what, undo})
}

// Len returns how many steps would be undone now.
func (s *Stack) Len() int { return len(s.steps) }

// Pop forgets the newest step, which was undone otherwise.
func (s *Stack) Pop() { s.steps = s.steps[:len(s.steps)-1] }

// Commit forgets all steps: the operation succeeded and what it made stays.
func (s *Stack) Commit() { s.steps = nil }

// Take moves all steps out of s into a new Stack, for an operation that hands
// responsibility for its work to its caller.
func (s *Stack) Take() *Stack {
	t := &Stack{Timeout: s.Timeout, steps: s.steps}
	s.steps = nil
	return t
}

// Append moves the steps of t on top of s, and leaves t empty.
func (s *Stack) Append(t *Stack) {
	s.steps = append(s.steps, t.steps...)
	t.steps = nil
}

// Rollback undoes what was pushed since the last Commit, newest first. It is
// meant to be deferred. Steps run under ctx's values but not its cancellation,
// with a deadline of their own; each step runs even when an earlier one failed.
// What they return is joined into *errp, behind the error that is there already.
// A panic passes on after the rollback. It reports whether every step succeeded.
func (s *Stack) Rollback(ctx context.Context, errp *error) (clean bool) {
	if len(s.steps) == 0 {
		return true
	}
	timeout := s.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	errs := []error{*errp}
	for len(s.steps) > 0 {
		last := s.steps[len(s.steps)-1]
		s.steps = s.steps[:len(s.steps)-1]
		if err := last.undo(ctx); err != nil {
			errs = append(errs, fmt.Errorf("undo %s: %w", last.what, err))
		}
	}
	if len(errs) > 1 {
		*errp = errors.Join(errs...)
	}
	return len(errs) == 1
}
