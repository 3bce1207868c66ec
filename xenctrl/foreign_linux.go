package xenctrl

import (
	"errors"
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"goxl/xenctrl/abi"
)

// mmapBatch is struct privcmd_mmapbatch_v2.
type mmapBatch struct {
	num  uint32
	dom  uint16
	_    uint16
	addr uint64
	arr  *GFN
	err  *int32
}

// pagedOut bounds the wait for frames that the pager has to bring back.
const (
	pagedOutWait = 100 * time.Microsecond
	pagedOutMax  = 10 * time.Second
)

// MapForeign maps frames with MMAPBATCH_V2. The kernel answers per frame; a
// frame that is paged out is asked for again until it is there.
func (s *privcmd) MapForeign(dom DomID, frames []GFN, prot Prot, errs []error) ([]byte, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	s.count("mmap")
	mem, err := unix.Mmap(s.fd, 0, len(frames)<<abi.PageShift, int(prot), unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("reserve %d pages: %w", len(frames), err)
	}
	res := make([]int32, len(frames))
	err = s.mapBatch(dom, mem, frames, res)
	if errors.Is(err, unix.ENOENT) {
		err = s.mapPagedOut(dom, mem, frames, res)
	}
	if err != nil {
		return nil, errors.Join(err, s.Unmap(mem))
	}
	for i, e := range res {
		if e != 0 {
			errs[i] = syscall.Errno(-e)
		}
	}
	return mem, nil
}

// mapBatch fills mem with frames. ENOENT means that at least one is paged out.
func (s *privcmd) mapBatch(dom DomID, mem []byte, frames []GFN, res []int32) error {
	arg := mmapBatch{
		num: uint32(len(frames)), dom: uint16(dom),
		addr: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(mem)))),
		arr:  &frames[0], err: &res[0],
	}
	for {
		s.count("ioctl privcmd mmapbatch")
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s.fd), ioctlMmapBatchV2, uintptr(unsafe.Pointer(&arg)))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}

// mapPagedOut asks again, one by one, for the frames that were paged out.
func (s *privcmd) mapPagedOut(dom DomID, mem []byte, frames []GFN, res []int32) error {
	end := time.Now().Add(pagedOutMax)
	for i := range frames {
		for res[i] == -int32(unix.ENOENT) {
			if time.Now().After(end) {
				return fmt.Errorf("frame %#x stayed paged out for %v: %w", uint64(frames[i]), pagedOutMax, unix.ETIMEDOUT)
			}
			time.Sleep(pagedOutWait)
			err := s.mapBatch(dom, mem[i<<abi.PageShift:][:abi.PageSize], frames[i:i+1], res[i:i+1])
			if err != nil && !errors.Is(err, unix.ENOENT) {
				return err
			}
		}
	}
	return nil
}

// resource is struct privcmd_mmap_resource.
type resource struct {
	dom  uint16
	_    uint16
	typ  uint32
	id   uint32
	idx  uint32
	num  uint64
	addr uint64
}

// MapResource maps frames of a table with MMAP_RESOURCE.
func (s *privcmd) MapResource(dom DomID, r Resource, first uint64, n int, prot Prot) ([]byte, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	s.count("mmap")
	mem, err := unix.Mmap(s.fd, 0, n<<abi.PageShift, int(prot), unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("reserve %d pages: %w", n, err)
	}
	arg := resource{dom: uint16(dom), typ: uint32(r.Type), id: r.ID, idx: uint32(first), num: uint64(n),
		addr: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(mem))))}
	if err := s.resource(&arg); err != nil {
		return nil, errors.Join(err, s.Unmap(mem))
	}
	return mem, nil
}

// ResourceFrames asks for the size of a table.
func (s *privcmd) ResourceFrames(dom DomID, r Resource) (int, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	arg := resource{dom: uint16(dom), typ: uint32(r.Type), id: r.ID}
	if err := s.resource(&arg); err != nil {
		return 0, err
	}
	return int(arg.num), nil
}

func (s *privcmd) resource(arg *resource) error {
	for {
		s.count("ioctl privcmd mmap_resource")
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s.fd), ioctlMmapResource, uintptr(unsafe.Pointer(arg)))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		case unix.ENOTTY:
			return unix.EOPNOTSUPP // Linux before 4.18
		default:
			return errno
		}
	}
}

// Unmap unmaps foreign memory.
func (s *privcmd) Unmap(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	s.count("munmap")
	return unix.Munmap(b)
}
