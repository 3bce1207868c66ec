package console

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"goxl/domains/logs"
)

// fullRingLook is how often a full input ring is looked at if the guest does not say
// that it has read something.
const fullRingLook = 200 * time.Millisecond

// link is a ring that is being served: a page, a port, and two goroutines between
// them and the sink.
type link struct {
	page  Page
	port  Port
	sink  *sink
	log   *logs.Logger
	bad   nag           // the ring is
	deaf  nag           // the guest is
	space chan struct{} // the guest may have read

	// Of drain, one at a time. Peek and take are made once, so that a drain does
	// not allocate.
	out        [outSize]byte
	n          int
	from       uint32
	peek, done func(page []byte) error
}

// newLink owns page and port from here on.
func newLink(page Page, port Port, s *sink, log *logs.Logger) *link {
	l := &link{
		page: page, port: port, sink: s, log: log, space: make(chan struct{}, 1),
		bad:  nag{log: log, text: "the guest's console ring is broken"},
		deaf: nag{log: log, text: "cannot tell the guest that its output is taken"},
	}
	l.peek = func(page []byte) (err error) {
		l.n, l.from, err = peekOutput(page, l.out[:])
		return err
	}
	l.done = func(page []byte) error {
		takeOutput(page, l.from+uint32(l.n))
		return nil
	}
	return l
}

// run serves the ring until ctx ends, which is no error, or something fails. It
// takes what the guest printed last, and gives back page and port.
func (l *link) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ends := make(chan error, 2)
	start := func(f func(context.Context) error) {
		go func() {
			err := f(ctx)
			cancel(err)
			ends <- err
		}()
	}
	err := l.page.With(func(b []byte) error { markConnected(b); return nil })
	if err == nil {
		start(l.events)
		start(l.typed)
		err = errors.Join(<-ends, <-ends)
		l.drain() // a guest that is gone need not know
		l.bad.end()
		l.deaf.end()
	}
	return errors.Join(err, l.port.Close(), l.page.Close())
}

// events takes the guest's output whenever it says that there is some, and re-arms
// the port late when it says so too often.
func (l *link) events(ctx context.Context) error {
	var limit limiter
	if err := l.sink.hasRoom(ctx); err != nil {
		return nil
	}
	for l.deaf.hit(l.drain()); ; {
		err := l.port.Wait(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("wait for the guest: %w", err)
		}
		if l.sink.hasRoom(ctx) != nil {
			return nil
		}
		l.deaf.hit(l.drain())
		wake(l.space)
		if wait := limit.event(time.Now()); wait > 0 {
			pause(ctx, wait)
		}
		if err := l.port.Rearm(); err != nil {
			return err
		}
	}
}

// drain takes what the guest has printed. The guest is told only when all of it is
// where it belongs; the error says that it cannot be.
func (l *link) drain() error {
	err := l.page.With(l.peek)
	l.bad.hit(err)
	if err != nil || l.n == 0 {
		return nil
	}
	fresh := l.out[l.sink.skip(l.out[:l.n], l.from):l.n]
	l.sink.take(fresh, l.from+uint32(l.n))
	if err := l.page.With(l.done); err != nil {
		return err
	}
	return l.port.Notify()
}

// typed sends the guest what is typed on the terminal.
func (l *link) typed(ctx context.Context) error {
	out := l.sink.out
	if err := out.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("read terminal: %w", err)
	}
	fired := make(chan struct{})
	release := context.AfterFunc(ctx, func() {
		out.SetReadDeadline(time.Unix(1, 0))
		close(fired)
	})
	defer func() {
		if !release() {
			<-fired // the next ring's reader sets the deadline anew
		}
	}()
	var buf [inSize]byte
	for ctx.Err() == nil {
		room := 0
		if err := l.page.With(func(b []byte) error { room = inputRoom(b); return nil }); err != nil {
			return err
		}
		if room == 0 {
			l.awaitSpace(ctx)
			continue
		}
		n, err := out.Read(buf[:room])
		if n > 0 {
			if err := l.send(buf[:n]); err != nil {
				return err
			}
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("read terminal: %w", err)
		}
	}
	return nil
}

func (l *link) send(b []byte) error {
	// A guest that takes back room that it has shown loses what was typed.
	err := l.page.With(func(page []byte) error { putInput(page, b); return nil })
	if err != nil {
		return err
	}
	return l.port.Notify()
}

func (l *link) awaitSpace(ctx context.Context) {
	t := time.NewTimer(fullRingLook)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-l.space:
	}
}
