package uring

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Layouts and numbers of linux/io_uring.h.
type params struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
	_                                                                      [3]uint32
	sqOff                                                                  sqOffsets
	cqOff                                                                  cqOffsets
}

type sqOffsets struct {
	head, tail, ringMask, ringEntries, flags, dropped, array, _ uint32
	_                                                           uint64
}

type cqOffsets struct {
	head, tail, ringMask, ringEntries, overflow, cqes, flags, _ uint32
	_                                                           uint64
}

// submission is struct io_uring_sqe.
type submission struct {
	opcode, flags uint8
	ioprio        uint16
	fd            int32
	off, addr     uint64
	len, rwFlags  uint32
	userData      uint64
	_             [3]uint64
}

// completion is struct io_uring_cqe.
type completion struct {
	userData uint64
	res      int32
	flags    uint32
}

const (
	opNop   = 0
	opRead  = 22
	opWrite = 23

	enterGetEvents = 1 << 0

	featSingleMap = 1 << 0
	featNoDrop    = 1 << 1

	offSQRing = 0
	offSQEs   = 0x10000000
)

// Ring is an io_uring. Its submitting half (Read, Write, Nop, Submit) belongs to one
// goroutine, its completing half (Wait) to one as well.
type Ring struct {
	fd       int
	mem, sqe []byte

	sqHead, sqTail, cqHead, cqTail *atomic.Uint32
	subs                           []submission
	comps                          []completion
	tail                           uint32 // of what was added; sqTail is that of what was submitted
}

// Open makes a ring for n requests at a time. The error wraps errors.ErrUnsupported
// where the kernel has none, or forbids it.
func Open(n int) (*Ring, error) {
	var p params
	fd, _, e := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(n), uintptr(unsafe.Pointer(&p)), 0)
	if e != 0 {
		return nil, fmt.Errorf("make an io_uring for %d requests: %w: %w", n, e, errors.ErrUnsupported)
	}
	r := &Ring{fd: int(fd)}
	unix.CloseOnExec(r.fd)
	if err := r.lay(&p); err != nil {
		r.Close()
		return nil, fmt.Errorf("map an io_uring: %w: %w", err, errors.ErrUnsupported)
	}
	return r, nil
}

// lay maps the rings, which are one mapping since Linux 5.4, and the submissions.
func (r *Ring) lay(p *params) (err error) {
	const need = featSingleMap | featNoDrop
	if p.features&need != need {
		return unix.ENOSYS
	}
	size := max(uint64(p.sqOff.array)+4*uint64(p.sqEntries), uint64(p.cqOff.cqes)+uint64(unsafe.Sizeof(completion{}))*uint64(p.cqEntries))
	if r.mem, err = r.mapped(offSQRing, size); err != nil {
		return err
	}
	if r.sqe, err = r.mapped(offSQEs, uint64(unsafe.Sizeof(submission{}))*uint64(p.sqEntries)); err != nil {
		return err
	}
	word := func(off uint32) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&r.mem[off])) }
	r.sqHead, r.sqTail = word(p.sqOff.head), word(p.sqOff.tail)
	r.cqHead, r.cqTail = word(p.cqOff.head), word(p.cqOff.tail)
	r.subs = unsafe.Slice((*submission)(unsafe.Pointer(&r.sqe[0])), p.sqEntries)
	r.comps = unsafe.Slice((*completion)(unsafe.Pointer(&r.mem[p.cqOff.cqes])), p.cqEntries)
	for i := range p.sqEntries { // slot i of the ring is always submission i
		word(p.sqOff.array + 4*i).Store(i)
	}
	r.tail = r.sqTail.Load()
	return nil
}

func (r *Ring) mapped(off int64, size uint64) ([]byte, error) {
	return unix.Mmap(r.fd, off, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
}

// Close gives the ring back. No request may be under way, and nobody in Wait.
func (r *Ring) Close() error {
	var errs []error
	for _, m := range [][]byte{r.mem, r.sqe} {
		if m != nil {
			errs = append(errs, unix.Munmap(m))
		}
	}
	return errors.Join(append(errs, unix.Close(r.fd))...)
}

// Read adds the reading of p from byte off of the file fd. P is outside Go's heap, or
// pinned, and belongs to the ring until Wait returns the tag. It returns false if there
// is no room before Submit.
func (r *Ring) Read(fd int, p []byte, off int64, tag uint64) bool {
	return r.add(opRead, fd, p, off, tag)
}

// Write adds the writing of p, as Read adds its reading.
func (r *Ring) Write(fd int, p []byte, off int64, tag uint64) bool {
	return r.add(opWrite, fd, p, off, tag)
}

// Nop adds a request that does nothing.
func (r *Ring) Nop(tag uint64) bool { return r.add(opNop, -1, nil, 0, tag) }

func (r *Ring) add(op uint8, fd int, p []byte, off int64, tag uint64) bool {
	if r.tail-r.sqHead.Load() >= uint32(len(r.subs)) {
		return false
	}
	r.subs[r.tail&uint32(len(r.subs)-1)] = submission{opcode: op, fd: int32(fd), off: uint64(off),
		addr: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(p)))), len: uint32(len(p)), userData: tag}
	r.tail++
	return true
}

// Submit begins all that was added. When it fails, those that were not begun are
// forgotten, and it returns their tags.
func (r *Ring) Submit() (left []uint64, err error) {
	r.sqTail.Store(r.tail)
	for n := r.tail - r.sqHead.Load(); n > 0; n = r.tail - r.sqHead.Load() {
		if _, err := r.enter(n, 0, 0); err != nil && err != unix.EINTR {
			return r.forget(), fmt.Errorf("submit %d requests: %w", n, err)
		}
	}
	return nil, nil
}

// forget takes back what the kernel has not taken, in an order in which the kernel,
// which looks only while we submit, cannot see half of it.
func (r *Ring) forget() (tags []uint64) {
	for head := r.sqHead.Load(); r.tail != head; {
		r.tail--
		tags = append(tags, r.subs[r.tail&uint32(len(r.subs)-1)].userData)
	}
	r.sqTail.Store(r.tail)
	return tags
}

// Result is a request that has ended: with so many bytes, or -errno.
type Result struct {
	Tag uint64
	Res int32
}

// Wait blocks until at least one request has ended, and fills results with those that
// have.
func (r *Ring) Wait(results []Result) (n int, err error) {
	for {
		head, tail := r.cqHead.Load(), r.cqTail.Load()
		for ; head != tail && n < len(results); head++ {
			c := &r.comps[head&uint32(len(r.comps)-1)]
			results[n] = Result{c.userData, c.res}
			n++
		}
		r.cqHead.Store(head)
		if n > 0 {
			return n, nil
		}
		if _, err := r.enter(0, 1, enterGetEvents); err != nil && err != unix.EINTR {
			return 0, fmt.Errorf("wait for requests: %w", err)
		}
	}
}

func (r *Ring) enter(submit, wait uint32, flags uintptr) (uint, error) {
	n, _, e := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(submit), uintptr(wait), flags, 0, 0)
	if e != 0 {
		return 0, e
	}
	return uint(n), nil
}
