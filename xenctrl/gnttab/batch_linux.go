package gnttab

import (
	"encoding/binary"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// NewBatch returns an empty list of copies that c makes.
func (c *Conn) NewBatch() (*Batch, error) {
	raw, err := c.f.SyscallConn()
	if err != nil {
		return nil, opError("copy", err)
	}
	b := &Batch{}
	call := copyCall{raw: raw}
	control := call.control // made once, so that a copy allocates nothing
	b.run = func(ops []*Op) error {
		list := b.encode(ops)
		binary.LittleEndian.PutUint32(call.arg[:], uint32(len(ops)))
		binary.LittleEndian.PutUint64(call.arg[8:], address(list))
		call.quiet = b.Quiet
		if err := raw.Control(control); err != nil { // the only reason there is
			return os.ErrClosed
		}
		runtime.KeepAlive(ops)
		runtime.KeepAlive(list)
		if call.errno != 0 {
			return call.errno
		}
		return b.decode(ops)
	}
	return b, nil
}

// copyCall is the kernel's request: count, padding, address of the list. It is part
// of the heap, whose objects do not move.
type copyCall struct {
	raw   syscall.RawConn
	quiet bool
	arg   [16]byte
	errno unix.Errno
}

func (c *copyCall) control(fd uintptr) {
	for {
		if c.quiet {
			_, _, c.errno = unix.RawSyscall(unix.SYS_IOCTL, fd, ioctlCopy, uintptr(unsafe.Pointer(&c.arg)))
		} else {
			_, _, c.errno = unix.Syscall(unix.SYS_IOCTL, fd, ioctlCopy, uintptr(unsafe.Pointer(&c.arg)))
		}
		if c.errno != unix.EINTR {
			return
		}
	}
}
