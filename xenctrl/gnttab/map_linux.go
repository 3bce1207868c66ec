package gnttab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"goxl/xenctrl/abi"
)

// The kernel's device. Source: Linux, include/uapi/xen/gntdev.h. The numbers
// hold the size of the structure with one grant, however many follow.
const (
	devPath = "/dev/xen/gntdev"

	ioctlMap         = 0x00184700
	ioctlUnmap       = 0x00104701
	ioctlUnmapNotify = 0x00104707
	ioctlCopy        = 0x00104708
	notifyClearByte  = 1
	notifySendEvent  = 2
	maxGrantsPerMap  = 4096
	mapHeader        = 16 // count, padding, index
	mapEntry         = 8  // domain, reference
)

// Conn maps and copies granted memory. Its methods may be called from several
// goroutines.
type Conn struct{ f *os.File }

// Open opens the grant device.
func Open() (*Conn, error) {
	f, err := os.OpenFile(devPath, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &Conn{f}, nil
}

// Close closes the device. Mappings stay valid until they are closed. It may be
// called twice.
func (c *Conn) Close() error { return closeFile(c.f) }

func closeFile(f *os.File) error {
	if err := f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// ioctl makes a request with an argument that the kernel copies.
func ioctl(f *os.File, req uintptr, arg []byte) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var errno unix.Errno
	err = raw.Control(func(fd uintptr) {
		for {
			_, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, req, uintptr(unsafe.Pointer(unsafe.SliceData(arg))))
			if errno != unix.EINTR {
				return
			}
		}
	})
	if err != nil { // the only reason there is
		return os.ErrClosed
	}
	if errno != 0 {
		return errno
	}
	return nil
}

// mmap maps pages that the device has prepared at offset index.
func mmap(f *os.File, index uint64, pages, prot int) ([]byte, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var b []byte
	var failed error
	err = raw.Control(func(fd uintptr) {
		b, failed = unix.Mmap(int(fd), int64(index), pages<<abi.PageShift, prot, unix.MAP_SHARED)
	})
	if err != nil {
		return nil, os.ErrClosed
	}
	return b, failed
}

// Mapping is granted memory in our address space, with one owner who closes it.
type Mapping struct {
	region
	f     *os.File
	index uint64
}

// Map maps pages that domain dom granted next to each other. All must be there.
func (c *Conn) Map(dom DomID, refs []GrantRef, a Access) (*Mapping, error) {
	grants := make([]Grant, len(refs))
	for i, r := range refs {
		grants[i] = Grant{dom, r}
	}
	return c.MapGrants(grants, a)
}

// MapGrants is Map for pages of several domains.
func (c *Conn) MapGrants(grants []Grant, a Access) (*Mapping, error) {
	op := "map"
	if len(grants) == 1 {
		op = fmt.Sprintf("map reference %d of domain %d", grants[0].Ref, grants[0].Dom)
	}
	if n := len(grants); n == 0 || n > maxGrantsPerMap {
		return nil, opError(op, fmt.Errorf("%d grants, want 1 to %d: %w", n, maxGrantsPerMap, unix.EINVAL))
	}
	le := binary.LittleEndian
	arg := make([]byte, mapHeader+mapEntry*len(grants))
	le.PutUint32(arg, uint32(len(grants)))
	for i, g := range grants {
		le.PutUint32(arg[mapHeader+mapEntry*i:], uint32(g.Dom))
		le.PutUint32(arg[mapHeader+mapEntry*i+4:], uint32(g.Ref))
	}
	if err := ioctl(c.f, ioctlMap, arg); err != nil {
		return nil, opError(op, err)
	}
	m := &Mapping{f: c.f, index: le.Uint64(arg[8:])}
	prot := unix.PROT_READ
	if a == ReadWrite {
		prot |= unix.PROT_WRITE
	}
	b, err := mmap(c.f, m.index, len(grants), prot)
	if err != nil {
		return nil, opError(op, errors.Join(err, m.forget(len(grants))))
	}
	m.b = b
	m.free = m.unmap
	return m, nil
}

func (m *Mapping) unmap(b []byte) error {
	n := len(b) >> abi.PageShift
	if err := unix.Munmap(b); err != nil {
		return opError("unmap", err)
	}
	if err := m.forget(n); err != nil && !errors.Is(err, os.ErrClosed) {
		return opError("unmap", err) // a closed device forgot it already
	}
	return nil
}

// forget takes back the preparation of n pages.
func (m *Mapping) forget(n int) error {
	arg := make([]byte, 16)
	binary.LittleEndian.PutUint64(arg, m.index)
	binary.LittleEndian.PutUint32(arg[8:], uint32(n))
	return ioctl(m.f, ioctlUnmap, arg)
}

// NotifyOnUnmap makes the kernel clear the byte at offset and send an event to
// port when the memory is unmapped, also when this process dies. An offset
// below 0 or a port 0 leaves that part out.
func (m *Mapping) NotifyOnUnmap(offset int, port Port) error {
	return notifyOnUnmap(m.f, m.index, offset, port)
}

func notifyOnUnmap(f *os.File, index uint64, offset int, port Port) error {
	var action uint32
	if offset >= 0 {
		action |= notifyClearByte
		index += uint64(offset)
	}
	if port != 0 {
		action |= notifySendEvent
	}
	arg := binary.LittleEndian.AppendUint64(nil, index)
	arg = binary.LittleEndian.AppendUint32(arg, action)
	arg = binary.LittleEndian.AppendUint32(arg, uint32(port))
	if err := ioctl(f, ioctlUnmapNotify, arg); err != nil {
		return opError("set unmap notification", err)
	}
	return nil
}
