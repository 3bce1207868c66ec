package xenctrl

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel's devices. Source: Linux, include/uapi/xen/privcmd.h.
const (
	privcmdPath   = "/dev/xen/privcmd"
	hypercallPath = "/dev/xen/hypercall"

	ioctlHypercall    = 0x00305000
	ioctlMmapBatchV2  = 0x00205004
	ioctlDMOp         = 0x00105005
	ioctlMmapResource = 0x00205007
)

// privcmd is the System of a Linux control domain.
type privcmd struct {
	life   sync.RWMutex // held for reading while a descriptor is in use
	closed bool
	fd     int // /dev/xen/privcmd
	bufs   int // /dev/xen/hypercall, -1 before Linux 4.18

	mu       sync.Mutex
	syscalls map[string]uint64
}

// OpenSystem opens the hypervisor through the kernel's privcmd device.
func OpenSystem() (System, error) {
	fd, err := unix.Open(privcmdPath, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, openError(err)
	}
	s := &privcmd{fd: fd, syscalls: map[string]uint64{}}
	s.bufs, err = unix.Open(hypercallPath, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		s.bufs = -1 // older kernel: locked memory instead
	}
	s.count("open")
	return s, nil
}

func openError(err error) error {
	err = &os.PathError{Op: "open", Path: privcmdPath, Err: err}
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("%w (%w): boot this machine under Xen, or load the module xen-privcmd", ErrNotXen, err)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: %w; run as root", ErrPermission, err)
	}
	return err
}

// enter makes sure that the descriptors stay ours until leave: their numbers may
// be another file's after Close.
func (s *privcmd) enter() error {
	s.life.RLock()
	if s.closed {
		s.life.RUnlock()
		return fmt.Errorf("hypervisor handle: %w", os.ErrClosed)
	}
	return nil
}

func (s *privcmd) leave() { s.life.RUnlock() }

func (s *privcmd) count(name string) {
	s.mu.Lock()
	s.syscalls[name]++
	s.mu.Unlock()
}

// Syscalls returns how often each system call was made so far.
func (s *privcmd) Syscalls() map[string]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.syscalls)
}

// hypercallArgs is struct privcmd_hypercall. The kernel copies it, so it may be
// Go memory.
type hypercallArgs struct {
	op   uint64
	args [5]uint64
}

// Hypercall makes a hypercall. The kernel restarts what Xen preempts; only a
// signal ends the call early, and then it is made again.
func (s *privcmd) Hypercall(op uint64, args [5]uint64) (int64, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	arg := hypercallArgs{op, args}
	for try := 0; ; try++ {
		s.count("ioctl privcmd hypercall")
		ret, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s.fd), ioctlHypercall, uintptr(unsafe.Pointer(&arg)))
		switch {
		case errno == 0:
			return int64(ret), nil
		case errno == unix.EINTR:
		case errno == unix.EFAULT && s.bufs < 0 && try < faultRetries:
			// Locked memory can still be in migration for a moment.
		default:
			return 0, errno
		}
	}
}

// DMOp makes a device model operation. The kernel pins the buffers.
func (s *privcmd) DMOp(dom DomID, bufs [][]byte) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	type buf struct{ ptr, size uintptr }
	list := make([]buf, len(bufs))
	for i, b := range bufs {
		list[i] = buf{uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))}
	}
	arg := struct {
		dom, num uint16
		_        uint32
		bufs     *buf
	}{dom: uint16(dom), num: uint16(len(list)), bufs: &list[0]}
	var pins runtime.Pinner
	defer pins.Unpin()
	for _, b := range bufs {
		pins.Pin(unsafe.SliceData(b))
	}
	pins.Pin(&list[0])
	for {
		s.count("ioctl privcmd dm_op")
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s.fd), ioctlDMOp, uintptr(unsafe.Pointer(&arg)))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}

// Close waits for running calls and closes the devices. It may be called twice.
func (s *privcmd) Close() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.count("close")
	err := unix.Close(s.fd)
	if s.bufs >= 0 {
		err = errors.Join(err, unix.Close(s.bufs))
	}
	return err
}
