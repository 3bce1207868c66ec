package gnttab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// The kernel's device. Source: Linux, include/uapi/xen/gntalloc.h.
const (
	allocPath = "/dev/xen/gntalloc"

	ioctlAlloc    = 0x00184705
	ioctlDealloc  = 0x00104706
	allocWritable = 1
	maxShared     = 1024 // default of the kernel's own limit
)

// Allocator grants fresh pages to other domains.
type Allocator struct{ f *os.File }

// OpenAllocator opens the device.
func OpenAllocator() (*Allocator, error) {
	f, err := os.OpenFile(allocPath, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &Allocator{f}, nil
}

// Close closes the device. It may be called twice.
func (a *Allocator) Close() error { return closeFile(a.f) }

// Shared is memory of ours that another domain may map.
type Shared struct {
	region
	f     *os.File
	index uint64
	refs  []GrantRef
}

// Refs returns the grant references to tell the other domain, one per page.
func (s *Shared) Refs() []GrantRef { return append([]GrantRef(nil), s.refs...) }

// Share makes n zeroed pages and grants them to domain dom. The kernel frees
// them after Close once the other side has unmapped them too.
func (a *Allocator) Share(dom DomID, n int, access Access) (*Shared, error) {
	op := fmt.Sprintf("share %d pages with domain %d", n, dom)
	if n < 1 || n > maxShared {
		return nil, opError(op, unix.EINVAL)
	}
	le := binary.LittleEndian
	arg := make([]byte, 16+max(8, 4*n)) // the kernel reads the size with one reference, padded
	le.PutUint16(arg, uint16(dom))
	if access == ReadWrite {
		le.PutUint16(arg[2:], allocWritable)
	}
	le.PutUint32(arg[4:], uint32(n))
	if err := ioctl(a.f, ioctlAlloc, arg); err != nil {
		return nil, opError(op, err)
	}
	s := &Shared{f: a.f, index: le.Uint64(arg[8:])}
	for i := range n {
		s.refs = append(s.refs, GrantRef(le.Uint32(arg[16+4*i:])))
	}
	b, err := mmap(a.f, s.index, n, unix.PROT_READ|unix.PROT_WRITE)
	if err != nil {
		return nil, opError(op, errors.Join(err, s.dealloc()))
	}
	s.b, s.free = b, s.unshare
	return s, nil
}

func (s *Shared) unshare(b []byte) error {
	if err := unix.Munmap(b); err != nil {
		return opError("unshare", err)
	}
	if err := s.dealloc(); err != nil && !errors.Is(err, os.ErrClosed) {
		return opError("unshare", err)
	}
	return nil
}

func (s *Shared) dealloc() error {
	arg := binary.LittleEndian.AppendUint64(nil, s.index)
	arg = binary.LittleEndian.AppendUint32(arg, uint32(len(s.refs)))
	return ioctl(s.f, ioctlDealloc, append(arg, 0, 0, 0, 0))
}

// NotifyOnUnmap makes the kernel clear the byte at offset and send an event to
// port when we end the sharing, also by dying. An offset below 0 or a port 0
// leaves that part out.
func (s *Shared) NotifyOnUnmap(offset int, port Port) error {
	return notifyOnUnmap(s.f, s.index, offset, port)
}
