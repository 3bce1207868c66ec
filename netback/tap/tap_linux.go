package tap

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	devPath  = "/dev/net/tun"
	ifFlags  = unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR | unix.IFF_MULTI_QUEUE
	kindName = "tuntap" // as netlink calls it; the kernel says "tun"
)

// Flags of TUNSETOFFLOAD. Source: Linux, include/uapi/linux/if_tun.h.
const (
	tunChecksum = 1
	tunTCPv4    = 2
	tunTCPv6    = 4
)

// Device is an interface. Its methods may be called from several goroutines.
type Device struct {
	index int
	tag   string
}

// Create makes an interface with a name and a tag. An interface that has the tag
// already is removed before.
func Create(name, tag string) (*Device, error) {
	if old, err := Find(tag); err == nil {
		if err := old.Remove(); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	fd, err := open(name)
	if err != nil {
		return nil, opError("create", name, err)
	}
	defer unix.Close(fd)
	l, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetAlias(l, tag)
	}
	if err == nil {
		err = unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1)
	}
	if err != nil { // it goes with fd
		return nil, opError("create", name, err)
	}
	return &Device{index: l.Attrs().Index, tag: tag}, nil
}

// Find returns the interface with a tag, or os.ErrNotExist.
func Find(tag string) (*Device, error) {
	all, err := List(tag)
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		if d.tag == tag {
			return d, nil
		}
	}
	return nil, opError("find", tag, os.ErrNotExist)
}

// List returns all interfaces whose tags start with prefix.
func List(prefix string) ([]*Device, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, opError("list", prefix, err)
	}
	var all []*Device
	for _, l := range links {
		if a := l.Attrs(); l.Type() == kindName && strings.HasPrefix(a.Alias, prefix) {
			all = append(all, &Device{index: a.Index, tag: a.Alias})
		}
	}
	return all, nil
}

// Tag returns what the interface was tagged with.
func (d *Device) Tag() string { return d.tag }

// link looks the interface up: it may have another name by now, or be gone.
func (d *Device) link() (*netlink.LinkAttrs, error) {
	l, err := netlink.LinkByIndex(d.index)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil, fmt.Errorf("%w: %w", err, os.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	if l.Type() != kindName || l.Attrs().Alias != d.tag {
		return nil, fmt.Errorf("number %d belongs to %s now: %w", d.index, l.Attrs().Name, os.ErrNotExist)
	}
	return l.Attrs(), nil
}

// Name returns the interface's present name.
func (d *Device) Name() (string, error) {
	a, err := d.link()
	if err != nil {
		return "", opError("look up", d.tag, err)
	}
	return a.Name, nil
}

// SetMTU sets the largest frame, in bytes without the Ethernet header.
func (d *Device) SetMTU(mtu int) error {
	if err := netlink.LinkSetMTU(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: d.index}}, mtu); err != nil {
		return opError("set MTU of", d.tag, err)
	}
	return nil
}

// Stats returns what the kernel has counted.
func (d *Device) Stats() (Stats, error) {
	a, err := d.link()
	if err != nil {
		return Stats{}, opError("read counters of", d.tag, err)
	}
	s := a.Statistics
	if s == nil {
		return Stats{}, nil
	}
	return Stats{s.RxPackets, s.RxBytes, s.RxDropped, s.TxPackets, s.TxBytes, s.TxDropped}, nil
}

// Remove removes the interface. One that is gone is no error.
func (d *Device) Remove() error {
	_, err := d.link()
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: d.index}})
	}
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return opError("remove", d.tag, err)
	}
	return nil
}

// Attach opens n queues, over which the kernel spreads the flows, and says what
// their reader accepts. The caller closes each.
func (d *Device) Attach(n int, o Offloads) (_ []*Queue, err error) {
	if n < 1 || n > MaxQueues {
		return nil, opError("attach", d.tag, fmt.Errorf("%d queues, want 1 to %d", n, MaxQueues))
	}
	name, err := d.Name()
	if err != nil {
		return nil, err
	}
	var queues []*Queue
	defer func() {
		if err != nil {
			for _, q := range queues {
				err = errors.Join(err, q.Close())
			}
		}
	}()
	for range n {
		fd, err := open(name)
		if err != nil {
			return nil, opError("attach", name, err)
		}
		queues = append(queues, &Queue{fd})
	}
	if err := queues[0].offload(o); err != nil {
		return nil, opError("set offloads of", name, err)
	}
	return queues, nil
}

// open attaches a queue to the interface name, making it if there is none.
func open(name string) (int, error) {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Open(devPath, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: devPath, Err: err}
	}
	ifr.SetUint16(ifFlags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func opError(op, what string, err error) error {
	return fmt.Errorf("tap: %s %s: %w", op, what, err)
}

// ioctlPointer makes a request whose argument is a number in memory.
func ioctlPointer(fd uintptr, req uint, v int32) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, uintptr(req), uintptr(unsafe.Pointer(&v))); errno != 0 {
		return errno
	}
	return nil
}
