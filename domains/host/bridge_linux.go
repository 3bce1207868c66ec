package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ErrNoBridge says that the bridge which an interface shall join does not exist.
var ErrNoBridge = errors.New("no such bridge")

// backendMAC is the largest address that is no broadcast, so that a bridge never
// takes it for its own. The guest's address is the frontend's affair.
var backendMAC = net.HardwareAddr{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff}

// ResolveBridge returns the name under which bridge exists here: for xenbrN that
// does not exist it is ethN if that is a bridge, as on hosts set up for old
// versions. The error is ErrNoBridge when there is neither.
func (h *Host) ResolveBridge(name string) (string, error) {
	if validIfName(name) {
		if exists(filepath.Join(h.Sys, "class/net", name)) {
			return name, nil
		}
		if n, ok := strings.CutPrefix(name, "xenbr"); ok && exists(filepath.Join(h.Sys, "class/net", "eth"+n, "bridge")) {
			return "eth" + n, nil
		}
	}
	return "", fmt.Errorf("bridge %s: %w; create it or choose another with bridge=", name, ErrNoBridge)
}

// validIfName reports whether the kernel would take name for an interface, which
// also keeps it from leading elsewhere as a part of a path.
func validIfName(name string) bool {
	return name != "" && len(name) < unix.IFNAMSIZ && name != "." && name != ".." &&
		!strings.ContainsAny(name, "/: \t\n")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// AwaitLink waits until there is a network interface of that name, or until ctx
// ends. A backend driver says that it is ready before its interface exists.
func (h *Host) AwaitLink(ctx context.Context, dev string) error {
	if h.LinkExists(dev) {
		return nil
	}
	updates, stop := make(chan netlink.LinkUpdate, 16), make(chan struct{})
	if err := netlink.LinkSubscribe(updates, stop); err != nil {
		return fmt.Errorf("interface %s: watch for it: %w", dev, err)
	}
	defer func() {
		close(stop)
		for range updates { // until its goroutine is gone
		}
	}()
	for !h.LinkExists(dev) {
		select {
		case _, ok := <-updates:
			if !ok && !h.LinkExists(dev) {
				return fmt.Errorf("interface %s: the kernel's news of interfaces ended before it came", dev)
			}
		case <-ctx.Done():
			return fmt.Errorf("interface %s did not come: %w", dev, context.Cause(ctx))
		}
	}
	return nil
}

// RenameLink gives interface from the name to. It fails if that name is taken.
func (h *Host) RenameLink(from, to string) error {
	if _, err := netlink.LinkByName(to); err == nil {
		return fmt.Errorf("rename interface %s: an interface %s exists already", from, to)
	}
	link, err := netlink.LinkByName(from)
	if err != nil {
		return fmt.Errorf("rename interface %s: %w", from, err)
	}
	if err := netlink.LinkSetDown(link); err != nil {
		return fmt.Errorf("rename interface %s: set it down: %w", from, err)
	}
	if err := netlink.LinkSetName(link, to); err != nil {
		return fmt.Errorf("rename interface %s to %s: %w", from, to, err)
	}
	return nil
}

// JoinBridge makes interface dev a port of bridge and sets it up. MTU zero takes
// the bridge's; the one in effect is returned. An interface that is a port
// already stays one.
func (h *Host) JoinBridge(dev, bridge string, mtu int) (int, error) {
	link, err := netlink.LinkByName(dev)
	if err != nil {
		return 0, fmt.Errorf("interface %s: %w", dev, err)
	}
	br, err := netlink.LinkByName(bridge)
	if err != nil {
		return 0, fmt.Errorf("bridge %s: %w: %w", bridge, ErrNoBridge, err)
	}
	if err := netlink.LinkSetDown(link); err != nil {
		return 0, fmt.Errorf("interface %s: set down: %w", dev, err)
	}
	// As in the script these three may fail: an odd driver's port still works.
	_ = netlink.LinkSetHardwareAddr(link, backendMAC)
	flushAddresses(link)
	if mtu <= 0 {
		mtu = br.Attrs().MTU
	}
	if mtu > 0 && mtu != link.Attrs().MTU {
		_ = netlink.LinkSetMTU(link, mtu)
	}
	if link.Attrs().MasterIndex != br.Attrs().Index {
		if err := netlink.LinkSetMaster(link, br); err != nil {
			return 0, fmt.Errorf("interface %s: join bridge %s: %w", dev, bridge, err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return 0, fmt.Errorf("interface %s: set up: %w", dev, err)
	}
	return mtu, nil
}

// LeaveBridge sets interface dev down and takes it off its bridge. An interface
// that is gone, as after its guest, is no error.
func (h *Host) LeaveBridge(dev string) error {
	link, err := netlink.LinkByName(dev)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("interface %s: %w", dev, err)
	}
	err = netlink.LinkSetDown(link)
	if err == nil && link.Attrs().MasterIndex != 0 {
		err = netlink.LinkSetNoMaster(link)
	}
	if err != nil && !errors.Is(err, unix.ENODEV) { // its driver may remove it right now
		return fmt.Errorf("interface %s: leave its bridge: %w", dev, err)
	}
	return nil
}

// LinkExists reports whether there is a network interface of that name.
func (h *Host) LinkExists(dev string) bool {
	_, err := netlink.LinkByName(dev)
	return err == nil
}

func flushAddresses(link netlink.Link) {
	addrs, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return
	}
	for _, a := range addrs {
		_ = netlink.AddrDel(link, &a)
	}
}
