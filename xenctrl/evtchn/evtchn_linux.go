package evtchn

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel's device. Source: Linux, include/uapi/xen/evtchn.h.
const (
	path = "/dev/xen/evtchn"

	ioctlBindVIRQ        = 0x00044500
	ioctlBindInterdomain = 0x00084501
	ioctlBindUnbound     = 0x00044502
	ioctlUnbind          = 0x00044503
	ioctlNotify          = 0x00044504
	ioctlReset           = 0x00004505
)

// Conn is a set of ports that this process has bound. Its methods may be called
// from several goroutines; one at a time may Wait.
type Conn struct {
	f *os.File

	mu      sync.Mutex // of the events read and not yet returned
	buf     [4 * 64]byte
	pending []Port
}

// Open opens an empty set of ports. The device is non-blocking, so that a Wait
// parks a goroutine and not a thread.
func Open() (*Conn, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return &Conn{f: os.NewFile(uintptr(fd), path)}, nil
}

// ioctl makes a request on the device without taking it from the poller.
func (c *Conn) ioctl(op string, req uintptr, arg unsafe.Pointer) (int, error) {
	raw, err := c.f.SyscallConn()
	if err != nil {
		return 0, opError(op, err)
	}
	var ret uintptr
	var errno unix.Errno
	err = raw.Control(func(fd uintptr) {
		for {
			ret, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, req, uintptr(arg))
			if errno != unix.EINTR {
				return
			}
		}
	})
	if err != nil { // the only reason there is
		return 0, opError(op, os.ErrClosed)
	}
	if errno != 0 {
		return 0, opError(op, errno)
	}
	return int(ret), nil
}

// BindInterdomain connects a new port of ours to an unbound port of dom. The new
// port has an event at once, since one may have been sent before.
func (c *Conn) BindInterdomain(dom DomID, remote Port) (Port, error) {
	arg := struct{ dom, port uint32 }{uint32(dom), uint32(remote)}
	n, err := c.ioctl(fmt.Sprintf("bind to port %d of domain %d", remote, dom), ioctlBindInterdomain, unsafe.Pointer(&arg))
	return Port(n), err
}

// BindUnbound makes a new port that dom may bind to.
func (c *Conn) BindUnbound(dom DomID) (Port, error) {
	arg := uint32(dom)
	n, err := c.ioctl(fmt.Sprintf("make a port for domain %d", dom), ioctlBindUnbound, unsafe.Pointer(&arg))
	return Port(n), err
}

// BindVIRQ makes a new port that Xen notifies. A global interrupt that somebody
// else holds is syscall.EEXIST.
func (c *Conn) BindVIRQ(v VIRQ) (Port, error) {
	arg := uint32(v)
	n, err := c.ioctl(fmt.Sprintf("bind virtual interrupt %d", v), ioctlBindVIRQ, unsafe.Pointer(&arg))
	return Port(n), err
}

// Unbind closes a port.
func (c *Conn) Unbind(p Port) error {
	arg := uint32(p)
	_, err := c.ioctl(fmt.Sprintf("close port %d", p), ioctlUnbind, unsafe.Pointer(&arg))
	return err
}

// Notify sends an event to the other end of a port. It does not block.
func (c *Conn) Notify(p Port) error {
	arg := uint32(p)
	_, err := c.ioctl(fmt.Sprintf("notify port %d", p), ioctlNotify, unsafe.Pointer(&arg))
	return err
}

// Wait blocks until a port has an event, and returns that port, which stays
// silent until Unmask. It ends with ctx, and with os.ErrClosed when the set is
// closed. After ErrOverflow it can be called again.
func (c *Conn) Wait(ctx context.Context) (Port, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) > 0 {
		return c.take(), nil
	}
	if err := ctx.Err(); err != nil {
		return 0, opError("wait", context.Cause(ctx))
	}
	if err := c.f.SetReadDeadline(time.Time{}); err != nil {
		return 0, opError("wait", err)
	}
	if ctx.Done() != nil { // else no allocation per event
		stop := context.AfterFunc(ctx, func() { _ = c.f.SetReadDeadline(time.Unix(1, 0)) })
		defer stop()
	}
	n, err := c.f.Read(c.buf[:])
	switch {
	case err == nil && n >= 4:
		for i := 0; i+4 <= n; i += 4 {
			c.pending = append(c.pending, Port(binary.NativeEndian.Uint32(c.buf[i:])))
		}
		return c.take(), nil
	case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil:
		return 0, opError("wait", context.Cause(ctx))
	case errors.Is(err, unix.EFBIG):
		if _, err := c.ioctl("clear the queue", ioctlReset, nil); err != nil {
			return 0, err
		}
		return 0, ErrOverflow
	case err == nil, errors.Is(err, io.EOF):
		return 0, opError("wait", io.ErrUnexpectedEOF)
	}
	return 0, opError("wait", err)
}

func (c *Conn) take() Port {
	p := c.pending[0]
	c.pending = append(c.pending[:0], c.pending[1:]...)
	return p
}

// Unmask lets a port that Wait returned have events again. One that came
// meanwhile is delivered at once.
func (c *Conn) Unmask(p Port) error {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(p))
	if _, err := c.f.Write(b[:]); err != nil {
		return opError(fmt.Sprintf("unmask port %d", p), err)
	}
	return nil
}

// Close closes all ports and ends a running Wait. It may be called twice.
func (c *Conn) Close() error {
	if err := c.f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
