package backtest

import "golang.org/x/sys/unix"

// Sign is a file descriptor that is readable while something is there. Its methods are
// called by one goroutine at a time.
type Sign struct {
	fd    int
	shown bool
}

// NewSign returns a sign of nothing. The caller closes it.
func NewSign() (*Sign, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	return &Sign{fd: fd}, err
}

// FD returns the file descriptor.
func (s *Sign) FD() int { return s.fd }

// Show says whether something is there.
func (s *Sign) Show(there bool) {
	if s.fd < 0 || s.shown == there {
		return
	}
	b := [8]byte{1}
	var err error
	if there {
		_, err = unix.Write(s.fd, b[:])
	} else {
		_, err = unix.Read(s.fd, b[:])
	}
	if err != nil {
		panic(err)
	}
	s.shown = there
}

// Close closes the file descriptor.
func (s *Sign) Close() {
	if s.fd >= 0 {
		_ = unix.Close(s.fd)
		s.fd = -1
	}
}
