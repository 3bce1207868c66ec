package xenctrl

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"goxl/xenctrl/abi"
)

// faultRetries bounds how often a hypercall is repeated that met a page in
// migration; it happens without /dev/xen/hypercall only.
const faultRetries = 10

// Alloc maps pages for hypercalls: from /dev/xen/hypercall, whose pages never
// move, or else anonymous memory that is locked, kept from forks and touched.
func (s *privcmd) Alloc(pages int) (Buffer, error) {
	if err := s.enter(); err != nil {
		return Buffer{}, err
	}
	defer s.leave()
	size := pages << abi.PageShift
	s.count("mmap")
	if s.bufs >= 0 {
		b, err := unix.Mmap(s.bufs, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return Buffer{}, fmt.Errorf("map %d hypercall pages: %w", pages, err)
		}
		return bufferOf(b), nil
	}
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_LOCKED)
	if err != nil {
		return Buffer{}, fmt.Errorf("lock %d hypercall pages: %w", pages, err)
	}
	if err := unix.Madvise(b, unix.MADV_DONTFORK); err != nil {
		_ = unix.Munmap(b)
		return Buffer{}, fmt.Errorf("keep hypercall pages from forks: %w", err)
	}
	for i := 0; i < size; i += abi.PageSize {
		b[i] = 0 // a write gives each page a frame of its own
	}
	return bufferOf(b), nil
}

func bufferOf(b []byte) Buffer {
	return NewBuffer(uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))), b)
}

// Free unmaps a buffer.
func (s *privcmd) Free(b Buffer) error {
	s.count("munmap")
	return unix.Munmap(b.Bytes())
}
