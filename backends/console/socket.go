package console

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"
)

// socket is a Unix socket with one client at a time; further ones wait until he has gone,
// as with QEMU's. Without a client nothing is read, and what is written waits.
type socket struct {
	l    *net.UnixListener
	path string
	wg   sync.WaitGroup

	mu        sync.Mutex
	change    sync.Cond // of all below
	client    net.Conn  // nil: nobody
	closed    bool
	stopRead  bool // a deadline has passed
	stopWrite bool
}

// openSocket listens at path. A socket that nobody listens at any more is replaced.
func openSocket(path string) (*socket, error) {
	if err := removeStale(path); err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	s := &socket{l: l, path: path}
	s.change.L = &s.mu
	s.wg.Go(s.accept)
	return s, nil
}

// removeStale removes the socket of a process that was killed.
func removeStale(path string) error {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.Mode().Type() != fs.ModeSocket {
		return errors.New("there is something else; remove it, or choose another path")
	}
	if c, err := net.Dial("unix", path); err == nil {
		return errors.Join(errors.New("another process listens there"), c.Close())
	}
	return os.Remove(path)
}

// accept takes one client after the other.
func (s *socket) accept() {
	for {
		c, err := s.l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // as when there are too many files
			time.Sleep(100 * time.Millisecond)
			continue
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			c.Close()
			return
		}
		s.client = c
		s.apply()
		s.change.Broadcast()
		for s.client == c && !s.closed {
			s.change.Wait()
		}
		s.mu.Unlock()
	}
}

// apply gives a client the deadlines. The caller holds the lock.
func (s *socket) apply() {
	if s.client != nil {
		s.client.SetReadDeadline(passed(s.stopRead))
		s.client.SetWriteDeadline(passed(s.stopWrite))
	}
}

func passed(yes bool) time.Time {
	if yes {
		return time.Unix(1, 0)
	}
	return time.Time{}
}

// SetReadDeadline is outlet's.
func (s *socket) SetReadDeadline(t time.Time) error { return s.set(&s.stopRead, t) }

// SetWriteDeadline is outlet's.
func (s *socket) SetWriteDeadline(t time.Time) error { return s.set(&s.stopWrite, t) }

func (s *socket) set(stop *bool, t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	*stop = !t.IsZero()
	s.apply()
	s.change.Broadcast()
	return nil
}

// await waits for a client.
func (s *socket) await(stop *bool) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.client == nil && !s.closed && !*stop {
		s.change.Wait()
	}
	switch {
	case s.closed:
		return nil, os.ErrClosed
	case *stop:
		return nil, os.ErrDeadlineExceeded
	}
	return s.client, nil
}

// Read reads from a client, and waits for the next one when he goes.
func (s *socket) Read(b []byte) (int, error) {
	for {
		c, err := s.await(&s.stopRead)
		if err != nil {
			return 0, err
		}
		n, err := c.Read(b)
		if n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		s.drop(c)
	}
}

// Write writes to a client, and waits for one. What was given to one who has gone since
// is lost.
func (s *socket) Write(b []byte) (n int, err error) {
	for n < len(b) {
		c, err := s.await(&s.stopWrite)
		if err != nil {
			return n, err
		}
		m, err := c.Write(b[n:])
		n += m
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if err != nil {
			s.drop(c)
		}
	}
	return n, nil
}

// drop forgets a client who has gone.
func (s *socket) drop(c net.Conn) {
	c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == c {
		s.client = nil
		s.change.Broadcast()
	}
}

// Unread returns 0: what a client was given is his.
func (s *socket) Unread() (int, error) { return 0, nil }

// Path is where the socket is.
func (s *socket) Path() string { return s.path }

// Close ends the socket and sends its client away. It may be called twice.
func (s *socket) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	c := s.client
	s.change.Broadcast()
	s.mu.Unlock()
	if !first {
		return nil
	}
	err := s.l.Close() // removes the file
	if c != nil {
		c.Close()
	}
	s.wg.Wait()
	return err
}
