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

	featSingleMap = 1 << 0
	featNoDrop    = 1 << 1

	offSQRing = 0
	offSQEs   = 0x10000000
)

// Ring is an io_uring. It belongs to one goroutine, and never has more requests under way
// than it was made for, so that there is room for all that end.
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

// Close gives the ring back. No request may be under way.
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
// pinned, and belongs to the ring until Next returns the tag. It returns false if there
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
		if err := r.enter(n); err != nil && err != unix.EINTR {
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

// Descriptor is readable, to poll(2), when a request has ended.
func (r *Ring) Descriptor() int { return r.fd }

// HasEnded reports whether Next has something to return.
func (r *Ring) HasEnded() bool { return r.cqHead.Load() != r.cqTail.Load() }

// Next returns a request that has ended, if there is one. It does not block.
func (r *Ring) Next() (Result, bool) {
	head := r.cqHead.Load()
	if head == r.cqTail.Load() {
		return Result{}, false
	}
	c := r.comps[head&uint32(len(r.comps)-1)]
	r.cqHead.Store(head + 1)
	return Result{c.userData, c.res}, true
}

// enter does not block, as io_uring hands what would to threads of its own; so Go's runtime
// is not told of it, see docs/speed.md.
func (r *Ring) enter(submit uint32) error {
	if _, _, e := unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(submit), 0, 0, 0, 0); e != 0 {
		return e
	}
	return nil
}
