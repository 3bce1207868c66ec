package evtchn

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Polled is a set of ports for a thread that waits for several things at a time, by
// poll(2) on FD. It belongs to one goroutine. No method blocks or allocates, and Go's
// runtime hears of none: its watching of threads in system calls costs more than they do.
type Polled struct {
	fd  int // -1: closed
	buf [4]byte
}

// OpenPolled opens an empty set of ports.
func OpenPolled() (*Polled, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return &Polled{fd: fd}, nil
}

// FD returns what is readable when a port has an event. It is the set's, until Close.
func (c *Polled) FD() int { return c.fd }

// BindInterdomain is that of Conn.
func (c *Polled) BindInterdomain(dom DomID, remote Port) (Port, error) {
	arg := struct{ dom, port uint32 }{uint32(dom), uint32(remote)}
	n, err := c.ioctl(ioctlBindInterdomain, unsafe.Pointer(&arg))
	if err != nil {
		return 0, opError(fmt.Sprintf("bind to port %d of domain %d", remote, dom), err)
	}
	return Port(n), nil
}

// Take returns a port that has an event, which stays silent until Unmask, or false if
// none has. The set should have so few ports that its queue of 512 events cannot overflow.
func (c *Polled) Take() (Port, bool, error) {
	n, err := c.rw(unix.SYS_READ)
	switch {
	case err == unix.EAGAIN:
		return 0, false, nil
	case err != nil:
		return 0, false, opError("take an event", err)
	}
	return Port(binary.NativeEndian.Uint32(c.buf[:])), n == len(c.buf), nil
}

// Unmask is that of Conn.
func (c *Polled) Unmask(p Port) error {
	binary.NativeEndian.PutUint32(c.buf[:], uint32(p))
	if _, err := c.rw(unix.SYS_WRITE); err != nil {
		return opError(fmt.Sprintf("unmask port %d", p), err)
	}
	return nil
}

// Notify is that of Conn.
func (c *Polled) Notify(p Port) error {
	arg := uint32(p)
	if _, err := c.ioctl(ioctlNotify, unsafe.Pointer(&arg)); err != nil {
		return opError(fmt.Sprintf("notify port %d", p), err)
	}
	return nil
}

// rw reads to buf or writes from it.
func (c *Polled) rw(trap uintptr) (int, error) {
	n, _, errno := unix.RawSyscall(trap, uintptr(c.fd), uintptr(unsafe.Pointer(&c.buf)), uintptr(len(c.buf)))
	return int(n), c.failed(errno)
}

func (c *Polled) ioctl(req uintptr, arg unsafe.Pointer) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(c.fd), req, uintptr(arg))
	return int(n), c.failed(errno)
}

func (c *Polled) failed(errno unix.Errno) error {
	switch {
	case errno == 0:
		return nil
	case c.fd < 0:
		return os.ErrClosed
	}
	return errno
}

// Close closes all ports. It may be called twice.
func (c *Polled) Close() error {
	if c.fd < 0 {
		return nil
	}
	fd := c.fd
	c.fd = -1
	return unix.Close(fd)
}
