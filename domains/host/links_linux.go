package host

import (
	"errors"
	"fmt"
	"io/fs"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func (kernel) FindLink(name string) (Link, error) {
	l, err := netlink.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return Link{}, fmt.Errorf("%w: %w", err, fs.ErrNotExist)
	}
	if err != nil {
		return Link{}, err
	}
	a := l.Attrs()
	return Link{Name: name, Index: a.Index, Bridge: a.MasterIndex, MTU: a.MTU}, nil
}

// link is l as netlink wants it.
func (l Link) link() netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: l.Name, Index: l.Index}}
}

func (kernel) SetLinkUp(l Link, up bool) error {
	if up {
		return netlink.LinkSetUp(l.link())
	}
	return netlink.LinkSetDown(l.link())
}

func (kernel) SetLinkName(l Link, name string) error { return netlink.LinkSetName(l.link(), name) }
func (kernel) SetLinkMTU(l Link, mtu int) error      { return netlink.LinkSetMTU(l.link(), mtu) }
func (kernel) SetLinkMaster(l Link, bridge int) error {
	return netlink.LinkSetMasterByIndex(l.link(), bridge)
}
func (kernel) SetLinkAddr(l Link, mac net.HardwareAddr) error {
	return netlink.LinkSetHardwareAddr(l.link(), mac)
}

func (kernel) FlushLink(l Link) error {
	addrs, err := netlink.AddrList(l.link(), unix.AF_UNSPEC)
	for _, a := range addrs {
		err = errors.Join(err, netlink.AddrDel(l.link(), &a))
	}
	return err
}

func (kernel) WatchLinks(stop <-chan struct{}) (<-chan struct{}, error) {
	updates, end := make(chan netlink.LinkUpdate, 16), make(chan struct{})
	if err := netlink.LinkSubscribe(updates, end); err != nil {
		return nil, err
	}
	news := make(chan struct{}, 1)
	go func() {
		<-stop
		close(end)
	}()
	go func() {
		defer close(news)
		for range updates { // until its goroutine is gone
			select {
			case news <- struct{}{}:
			default: // a look is pending already
			}
		}
	}()
	return news, nil
}
