package tap

import (
	"errors"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Queue is one stream of frames of an interface. It never waits: who has nothing else
// to do polls its FD. One goroutine has it at a time, but for SetCarrier. Reads and
// writes allocate nothing.
type Queue struct{ fd int } // -1: closed

// FD returns what to poll, with poll(2), for frames to read. It is the queue's.
func (q *Queue) FD() int { return q.fd }

// TryRead reads a frame with its header into b, which should have MaxRead bytes, or
// returns 0 when there is none.
func (q *Queue) TryRead(b []byte) (int, error) {
	n, err := q.call(unix.SYS_READ, b)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return 0, nil
	case err != nil:
		return 0, q.failed(err)
	case n == 0:
		return 0, io.ErrUnexpectedEOF
	}
	return n, nil
}

// Write sends a frame with its header. The host's refusal of one frame is a
// syscall.Errno; ErrDown is its own case.
func (q *Queue) Write(b []byte) error {
	_, err := q.call(unix.SYS_WRITE, b)
	if errors.Is(err, unix.EIO) { // says the kernel of an interface that is not up
		return ErrDown
	}
	return q.failed(err)
}

// call reads or writes b, which is not empty. Go's runtime is not told: nothing here
// waits for others, and its watching of threads in system calls costs more than they do.
func (q *Queue) call(trap uintptr, b []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall(trap, uintptr(q.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

func (q *Queue) failed(err error) error {
	if err != nil && q.fd < 0 {
		return os.ErrClosed
	}
	return err
}

// SetCarrier says whether the interface has a carrier, in all its queues. Kernels
// before 5.0 do not know that.
func (q *Queue) SetCarrier(on bool) error {
	var v int32
	if on {
		v = 1
	}
	return q.failed(ioctlPointer(uintptr(q.fd), unix.TUNSETCARRIER, v))
}

func (q *Queue) offload(o Offloads) error {
	var v int
	if o.Checksum {
		v |= tunChecksum
		if o.TCPv4 {
			v |= tunTCPv4
		}
		if o.TCPv6 {
			v |= tunTCPv6
		}
	}
	return unix.IoctlSetInt(q.fd, unix.TUNSETOFFLOAD, v)
}

// Close detaches the queue. It may be called twice, and not while the queue is used.
func (q *Queue) Close() error {
	if q.fd < 0 {
		return nil
	}
	fd := q.fd
	q.fd = -1
	return unix.Close(fd)
}
