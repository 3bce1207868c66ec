package tap

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Queue is one stream of frames of an interface. One goroutine may read and another
// one write. Reads and writes allocate nothing.
type Queue struct {
	f   *os.File
	raw syscall.RawConn

	in   call // of the reader
	out  call // of the writer
	try  func(uintptr) bool
	read func(uintptr) bool
	send func(uintptr) bool
}

// call is a system call's argument and result, where a closure finds them.
type call struct {
	b   []byte
	n   int
	err error
}

func newQueue(f *os.File) (*Queue, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	q := &Queue{f: f, raw: raw}
	q.read = func(fd uintptr) bool {
		q.in.n, q.in.err = ignoringEINTR(unix.Read, int(fd), q.in.b)
		return q.in.err != unix.EAGAIN // false waits until there is a frame
	}
	q.try = func(fd uintptr) bool {
		q.in.n, q.in.err = ignoringEINTR(unix.Read, int(fd), q.in.b)
		return true
	}
	q.send = func(fd uintptr) bool {
		q.out.n, q.out.err = ignoringEINTR(unix.Write, int(fd), q.out.b)
		return q.out.err != unix.EAGAIN
	}
	return q, nil
}

func ignoringEINTR(f func(int, []byte) (int, error), fd int, b []byte) (int, error) {
	for {
		n, err := f(fd, b)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// Read waits for a frame and reads it with its header into b, which should have
// MaxRead bytes. It ends with os.ErrDeadlineExceeded after Interrupt and with
// os.ErrClosed after Close.
func (q *Queue) Read(b []byte) (int, error) {
	q.in = call{b: b}
	if err := q.raw.Read(q.read); err != nil {
		return 0, ended(err)
	}
	return q.received()
}

// TryRead is Read, but returns 0 when there is no frame.
func (q *Queue) TryRead(b []byte) (int, error) {
	q.in = call{b: b}
	if err := q.raw.Read(q.try); err != nil {
		return 0, ended(err)
	}
	if q.in.err == unix.EAGAIN {
		return 0, nil
	}
	return q.received()
}

// ended says why the poller did not let a call happen: a deadline, or a closed file,
// for which it has no exported error.
func ended(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return os.ErrClosed
}

func (q *Queue) received() (int, error) {
	if q.in.err == nil && q.in.n == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return q.in.n, q.in.err
}

// Write sends a frame with its header. The host's refusal of one frame is a
// syscall.Errno; ErrDown is its own case.
func (q *Queue) Write(b []byte) error {
	q.out = call{b: b}
	if err := q.raw.Write(q.send); err != nil {
		return ended(err)
	}
	if q.out.err == unix.EIO { // says the kernel of an interface that is not up
		return ErrDown
	}
	return q.out.err
}

// Interrupt ends a running Read, and every later one until Resume.
func (q *Queue) Interrupt() error { return q.f.SetReadDeadline(time.Unix(1, 0)) }

// Resume lets Reads wait again.
func (q *Queue) Resume() error { return q.f.SetReadDeadline(time.Time{}) }

// SetCarrier says whether the interface has a carrier, in all its queues. Kernels
// before 5.0 do not know that.
func (q *Queue) SetCarrier(on bool) error {
	var v int32
	if on {
		v = 1
	}
	return q.control(func(fd uintptr) error { return ioctlPointer(fd, unix.TUNSETCARRIER, v) })
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
	return q.control(func(fd uintptr) error { return unix.IoctlSetInt(int(fd), unix.TUNSETOFFLOAD, v) })
}

func (q *Queue) control(f func(fd uintptr) error) error {
	var failed error
	if err := q.raw.Control(func(fd uintptr) { failed = f(fd) }); err != nil {
		return ended(err)
	}
	return failed
}

// Close detaches the queue and ends a running Read. It may be called twice.
func (q *Queue) Close() error {
	if err := q.f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
