package device

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"goxl/domains/logs"
	"goxl/xenstore"
)

// Force says what happens when a device does not go by itself.
type Force int

// The ways of removing.
const (
	Auto   Force = iota // ask; when that takes too long, take it away
	Safe                // ask; when that takes too long, leave it as it is
	Forced              // take it away
)

// Remove detaches dev and removes its nodes. With Auto and Safe the guest is
// asked and may refuse, which is ErrTimeout for Safe. A device whose backend is
// gone already is no error. Nor is, as with libxl, a hotplug script that fails to
// take the host's side down: the guest has no use of it any more. It is logged.
// After any other error the same again finishes the job: the nodes go last.
func (s *Set) Remove(ctx context.Context, dev Device, force Force) error {
	if dev.silent() {
		return s.erase(ctx, dev)
	}
	return s.remove(ctx, dev, force, s.ask(ctx, dev, force == Forced))
}

// remove goes on once the backend was asked to close.
func (s *Set) remove(ctx context.Context, dev Device, force Force, a asked) error {
	log := s.logFor(dev)
	closed, err := s.answer(ctx, dev, a)
	if errors.Is(err, ErrTimeout) && force == Auto {
		log.Info("device did not close, taking it away", logs.Duration("after", s.Timeouts.Detach))
		force = Forced
		closed, err = s.answer(ctx, dev, s.ask(ctx, dev, true))
	}
	if dev.Backend != s.Self && closed && err == nil {
		err = s.awaitErased(ctx, dev)
	}
	if err != nil && force != Forced {
		return fmt.Errorf("detach %s: %w", dev, err)
	}
	if dev.Backend == s.Self && (closed || err != nil) { // by force also after a failure: nothing stays
		if e := s.unplug(ctx, dev); e != nil { // the nodes tell the next attempt what is left
			return fmt.Errorf("detach %s: %w", dev, errors.Join(err, e))
		}
	}
	if err == nil || force == Forced {
		err = errors.Join(err, s.erase(ctx, dev))
	}
	if err != nil {
		return fmt.Errorf("detach %s: %w", dev, err)
	}
	log.Info("device detached", logs.Bool("forced", force == Forced))
	return nil
}

// silent reports whether the device's server needs no farewell.
func (d Device) silent() bool { return d.BackendKind == ConsoleDev || d.BackendKind == VUART }

// RemoveAll takes away all devices of guest dom and returns what went wrong with any
// of them. As with libxl, all backends are asked to close, one after the other, and
// awaited at the same time. What another domain serves goes even if that domain does
// not answer: all that it had of the guest in xenstore is gone then, and the rest is
// not for this host to clear.
func (s *Set) RemoveAll(ctx context.Context, dom DomID) error {
	devs, err := s.List(ctx, dom)
	if err != nil {
		return err
	}
	errs := make([]error, len(devs))
	var wg sync.WaitGroup
	for i, d := range devs {
		if d.silent() {
			errs[i] = s.erase(ctx, d)
			continue
		}
		a := s.ask(ctx, d, true)
		wg.Go(func() {
			errs[i] = s.remove(ctx, d, Forced, a)
			if d.Backend != s.Self && errors.Is(errs[i], ErrTimeout) {
				s.logFor(d).Warn("the domain that served a device did not answer", logs.Error(errs[i]))
				errs[i] = nil
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// asked is how a backend took it to be asked to close.
type asked struct {
	gone bool  // there is none
	qemu bool  // QEMU, which would wait for a guest that does not run
	err  error // it could not be asked
}

// ask tells the backend to close. With force the guest's half goes away first.
func (s *Set) ask(ctx context.Context, dev Device, force bool) (a asked) {
	ours, err := s.byDaemon(ctx, dev)
	if err != nil {
		return asked{err: err}
	}
	if dev.inQEMU() && !ours && s.Self == 0 && s.State != nil {
		st, err := s.State(ctx, dev.Dom)
		if err != nil || st.Paused || st.Dying || st.Shutdown {
			return asked{qemu: true, err: err}
		}
	}
	a.err = s.Store.Update(ctx, func(tx *xenstore.Tx) error {
		a.gone = false
		if force {
			if err := s.cleanPath(ctx, tx, dev.FrontendPath()); err != nil {
				return err
			}
		}
		state, err := tx.Read(ctx, dev.BackendPath()+"/state")
		if errors.Is(err, xenstore.ErrNotFound) {
			a.gone = true
			return nil
		}
		if err != nil {
			return err
		}
		var b xenstore.Batch
		b.Write(dev.BackendPath()+"/online", "0")
		if ParseState(state) != Closed {
			b.Write(dev.BackendPath()+"/state", "5")
		}
		return tx.Send(ctx, &b)
	})
	return a
}

// answer waits until the backend that was asked is in state Closed. It reports false
// when there is no backend left to close.
func (s *Set) answer(ctx context.Context, dev Device, a asked) (bool, error) {
	switch {
	case a.err != nil || a.gone:
		return false, a.err
	case a.qemu:
		return true, s.closeForQEMU(ctx, dev)
	}
	return true, s.awaitClosed(ctx, dev)
}

func (s *Set) awaitClosed(ctx context.Context, dev Device) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.Timeouts.Detach, ErrTimeout)
	defer cancel()
	last := Unknown
	_, err := s.Store.Await(ctx, dev.BackendPath()+"/state", func(v string, exists bool) bool {
		last = ParseState(v)
		return !exists || last == Closed
	})
	if errors.Is(err, ErrTimeout) {
		return fmt.Errorf("%w: backend still in state %d after %v, awaited 6; the guest may be using the device",
			ErrTimeout, last, s.Timeouts.Detach)
	}
	return err
}

// closeForQEMU closes a device of a guest that does not run: QEMU would wait for
// the guest's answer, so it gets a short time and then state 6 is written.
func (s *Set) closeForQEMU(ctx context.Context, dev Device) error {
	select {
	case <-time.After(s.Timeouts.QEMU):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	path := dev.BackendPath() + "/state"
	return s.Store.Update(ctx, func(tx *xenstore.Tx) error {
		state, err := tx.Read(ctx, path)
		if errors.Is(err, xenstore.ErrNotFound) {
			return nil
		}
		if err != nil || ParseState(state) == Closed {
			return err
		}
		var b xenstore.Batch
		if dev.Backend != s.Self { // its hotplug daemon removes no device that is online
			b.Write(dev.BackendPath()+"/online", "0")
		}
		b.Write(path, "6")
		return tx.Send(ctx, &b)
	})
}

// erase removes all nodes of dev, and the directories above that are then empty.
func (s *Set) erase(ctx context.Context, dev Device) error {
	err := s.Store.Update(ctx, func(tx *xenstore.Tx) error {
		paths := []string{dev.BackendPath()}
		if s.Self == 0 {
			paths = []string{dev.FrontendPath(), dev.LibxlPath(), dev.BackendPath()}
		} else if dev.Backend != s.Self {
			return nil
		}
		for _, p := range paths {
			if err := s.cleanPath(ctx, tx, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove the nodes of %s: %w", dev, err)
	}
	return nil
}

// cleanPath removes path, if it is there, and then each parent that has neither
// children nor a value. In a driver domain the parents are the toolstack's, which
// removes them itself.
func (s *Set) cleanPath(ctx context.Context, tx *xenstore.Tx, path string) error {
	err := ignoreMissing(tx.Rm(ctx, path))
	if err != nil {
		return err
	}
	for {
		path = path[:strings.LastIndexByte(path, '/')]
		if path == "" {
			return nil
		}
		v, err := tx.Read(ctx, path)
		if err != nil || v != "" {
			return s.parentError(err)
		}
		names, err := tx.List(ctx, path)
		if err != nil || len(names) > 0 {
			return s.parentError(err)
		}
		if err := tx.Rm(ctx, path); err != nil {
			return s.parentError(err)
		}
	}
}

// parentError is what keeps a parent from being looked at or removed; nil where that
// may be: it may be gone, or half gone in a transaction that met a change, which only
// its end tells (EINVAL), and in a driver domain it is the toolstack's.
func (s *Set) parentError(err error) error {
	if errors.Is(err, syscall.EINVAL) || s.Self != 0 && errors.Is(err, xenstore.ErrPermission) {
		return nil
	}
	return ignoreMissing(err)
}

func ignoreMissing(err error) error {
	if errors.Is(err, xenstore.ErrNotFound) {
		return nil
	}
	return err
}
