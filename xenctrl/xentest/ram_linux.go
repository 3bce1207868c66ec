package xentest

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"goxl/xenctrl/abi"
)

// ram is the machine's memory: a file in memory, so that a frame can be mapped
// a second time and both sides see the same bytes.
type ram struct {
	allocator
	fd                int
	all               []byte
	frames, m2pFrames uint64
}

func newRAM(pages abi.Pages) (*ram, error) {
	size := int64(pages) << abi.PageShift
	fd, err := unix.MemfdCreate("xentest", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memory of the machine: %w", err)
	}
	r := &ram{fd: fd}
	if err := unix.Ftruncate(fd, size); err != nil {
		return nil, fmt.Errorf("memory of the machine: %w", err)
	}
	r.all, err = unix.Mmap(fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("memory of the machine: %w", err)
	}
	r.layout(uint64(pages))
	return r, nil
}

// wipe makes freed frames zero and gives their memory back to the host.
func (r *ram) wipe(frames []uint64) {
	for i := 0; i < len(frames); {
		n := 1
		for i+n < len(frames) && frames[i+n] == frames[i]+uint64(n) {
			n++
		}
		_ = unix.Fallocate(r.fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE,
			int64(frames[i])<<abi.PageShift, int64(n)<<abi.PageShift)
		i += n
	}
}

// view maps frames next to each other; invalid ones stay inaccessible.
func (r *ram) view(frames []uint64, write bool) ([]byte, error) {
	size := uintptr(len(frames)) << abi.PageShift
	base, err := unix.MmapPtr(-1, 0, nil, size, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, err
	}
	prot := unix.PROT_READ
	if write {
		prot |= unix.PROT_WRITE
	}
	for i := 0; i < len(frames); {
		n := 1
		for i+n < len(frames) && frames[i+n] == frames[i]+uint64(n) {
			n++
		}
		if frames[i] != abi.InvalidFrame {
			_, err := unix.MmapPtr(r.fd, int64(frames[i])<<abi.PageShift, unsafe.Add(base, i<<abi.PageShift),
				uintptr(n)<<abi.PageShift, prot, unix.MAP_SHARED|unix.MAP_FIXED)
			if err != nil {
				return nil, err
			}
		}
		i += n
	}
	return unsafe.Slice((*byte)(base), size), nil
}

func unmapView(b []byte) error {
	return unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b)))
}

func (r *ram) close() {
	_ = unix.Munmap(r.all)
	_ = unix.Close(r.fd)
}
