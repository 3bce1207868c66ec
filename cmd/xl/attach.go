package main

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"goxl/xenstore"
)

// defaultEscape is ctrl-], which ends a console session.
const defaultEscape = 0x1d

// ttyPatience is how long a console may take to appear: xenconsoled makes the
// pty only after it has noticed the new guest.
const ttyPatience = 5 * time.Second

// lastWordsPause is how long a terminal of a guest that is gone may be silent.
const lastWordsPause = 200 * time.Millisecond

// attachment joins a terminal to a guest's console, whose pty xenstore names.
type attachment struct {
	in     io.Reader // nil: what the guest prints is shown, nothing is typed
	out    io.Writer
	escape byte

	// tty returns the path of the console's pty, "" when it has none now.
	tty func(context.Context) (string, error)
	// changed says that tty may have a new answer; the first event comes at once.
	changed <-chan xenstore.Event
	// open opens the pty in raw mode, and warn tells that it could not.
	open func(path string) (io.ReadWriteCloser, error)
	warn func(path string, err error)
	// ready, when set, is called once, after the pty was opened.
	ready func()
}

// run shows the console until its pty goes away with the guest, the escape
// character is typed, or ctx ends, none of which is an error. It waits a few
// seconds for the pty to appear. A read from in may still be going on afterwards.
func (a *attachment) run(ctx context.Context) error {
	pty, err := a.await(ctx)
	if err != nil {
		return err
	}
	if a.ready != nil {
		a.ready()
	}
	typed := a.readInput(ctx)
	session := newPTYSession(pty)
	defer func() { session.close() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-a.changed:
			pty = nil
			if ok {
				pty = a.reopen(ctx)
			}
			if pty == nil { // the guest is gone
				return a.lastWords(session)
			}
			session.close()
			session = newPTYSession(pty)
		case b, ok := <-typed:
			if !ok || len(b) == 1 && b[0] == a.escape {
				return nil
			}
			if err := session.write(b); err != nil {
				session.close()
			}
		case b := <-session.data:
			if _, err := a.out.Write(b); err != nil {
				return err
			}
			session.next <- struct{}{}
		}
	}
}

// await waits for the pty.
func (a *attachment) await(ctx context.Context) (io.ReadWriteCloser, error) {
	timeout := time.NewTimer(ttyPatience)
	defer timeout.Stop()
	var last error
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timeout.C:
			if last == nil {
				last = os.ErrNotExist
			}
			return nil, last
		case _, ok := <-a.changed:
			if !ok {
				return nil, errors.New("the watch on the console's pty ended")
			}
			path, err := a.tty(ctx)
			if err == nil && path == "" {
				err = os.ErrNotExist
			}
			if err == nil {
				var pty io.ReadWriteCloser
				if pty, err = a.open(path); err == nil {
					return pty, nil
				}
				a.warn(path, err)
			}
			last = err
		}
	}
}

// reopen opens the pty that xenstore names now; nil when there is none.
func (a *attachment) reopen(ctx context.Context) io.ReadWriteCloser {
	path, err := a.tty(ctx)
	if err != nil || path == "" {
		return nil
	}
	pty, err := a.open(path)
	if err != nil {
		a.warn(path, err)
		return nil
	}
	return pty
}

// lastWords shows what the guest had printed when it went: xenstore tells of its end
// before its terminal does. The genuine client loses that.
func (a *attachment) lastWords(s *ptySession) error {
	for {
		select {
		case b := <-s.data:
			if _, err := a.out.Write(b); err != nil {
				return err
			}
			s.next <- struct{}{}
		case <-s.done:
			return nil
		case <-time.After(lastWordsPause):
			return nil
		}
	}
}

// readInput hands on what is typed, in the pieces in which it came: an escape
// character counts only when it came alone. The channel is closed at the end of
// the input, and nil when there is none.
func (a *attachment) readInput(ctx context.Context) <-chan []byte {
	if a.in == nil {
		return nil
	}
	typed := make(chan []byte)
	go func() {
		defer close(typed)
		for {
			b := make([]byte, 60)
			n, err := a.in.Read(b)
			if n > 0 {
				select {
				case typed <- b[:n]:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return typed
}

// ptySession is one opened pty and the goroutine that reads it.
type ptySession struct {
	pty  io.ReadWriteCloser
	data chan []byte // what was read; the next read waits for next
	next chan struct{}
	quit chan struct{}
	done chan struct{}
}

func newPTYSession(pty io.ReadWriteCloser) *ptySession {
	s := &ptySession{pty: pty, data: make(chan []byte), next: make(chan struct{}),
		quit: make(chan struct{}), done: make(chan struct{})}
	go s.read()
	return s
}

func (s *ptySession) read() {
	defer close(s.done)
	b := make([]byte, 4096)
	for {
		n, err := s.pty.Read(b)
		if n > 0 {
			select {
			case s.data <- b[:n]:
			case <-s.quit:
				return
			}
			select {
			case <-s.next:
			case <-s.quit:
				return
			}
		}
		if err != nil {
			return // the session goes on: the guest's console may come back
		}
	}
}

// write passes b to the guest. After close it does nothing.
func (s *ptySession) write(b []byte) error {
	select {
	case <-s.quit:
		return nil
	default:
		_, err := s.pty.Write(b)
		return err
	}
}

// close closes the pty and waits for its reader. It may be called twice.
func (s *ptySession) close() {
	select {
	case <-s.quit:
	default:
		close(s.quit)
		s.pty.Close()
	}
	<-s.done
}
