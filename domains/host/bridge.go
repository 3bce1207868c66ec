package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"syscall"
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
		if h.exists(filepath.Join(h.Sys, "class/net", name)) {
			return name, nil
		}
		if n, ok := strings.CutPrefix(name, "xenbr"); ok && h.exists(filepath.Join(h.Sys, "class/net", "eth"+n, "bridge")) {
			return "eth" + n, nil
		}
	}
	return "", fmt.Errorf("bridge %s: %w; create it or choose another with bridge=", name, ErrNoBridge)
}

// maxIfName is how long an interface's name may be (IFNAMSIZ less its NUL).
const maxIfName = 15

// validIfName reports whether the kernel would take name for an interface, which
// also keeps it from leading elsewhere as a part of a path.
func validIfName(name string) bool {
	return name != "" && len(name) <= maxIfName && name != "." && name != ".." &&
		!strings.ContainsAny(name, "/: \t\n")
}

func (h *Host) exists(path string) bool {
	_, err := h.Stat(path)
	return err == nil
}

// AwaitLink waits until there is a network interface of that name, or until ctx
// ends. A backend driver says that it is ready before its interface exists.
func (h *Host) AwaitLink(ctx context.Context, dev string) error {
	if h.LinkExists(dev) {
		return nil
	}
	stop := make(chan struct{})
	news, err := h.WatchLinks(stop)
	if err != nil {
		return fmt.Errorf("interface %s: watch for it: %w", dev, err)
	}
	defer func() {
		close(stop)
		for range news { // until its goroutine is gone
		}
	}()
	for !h.LinkExists(dev) {
		select {
		case _, ok := <-news:
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
	if h.LinkExists(to) {
		return fmt.Errorf("rename interface %s: an interface %s exists already", from, to)
	}
	link, err := h.FindLink(from)
	if err != nil {
		return fmt.Errorf("rename interface %s: %w", from, err)
	}
	if err := h.SetLinkUp(link, false); err != nil {
		return fmt.Errorf("rename interface %s: set it down: %w", from, err)
	}
	if err := h.SetLinkName(link, to); err != nil {
		return fmt.Errorf("rename interface %s to %s: %w", from, to, err)
	}
	return nil
}

// JoinBridge makes interface dev a port of bridge and sets it up. MTU zero takes
// the bridge's; the one in effect is returned. An interface that is a port
// already stays one.
func (h *Host) JoinBridge(dev, bridge string, mtu int) (int, error) {
	link, err := h.FindLink(dev)
	if err != nil {
		return 0, fmt.Errorf("interface %s: %w", dev, err)
	}
	br, err := h.FindLink(bridge)
	if err != nil {
		return 0, fmt.Errorf("bridge %s: %w: %w", bridge, ErrNoBridge, err)
	}
	if err := h.SetLinkUp(link, false); err != nil {
		return 0, fmt.Errorf("interface %s: set down: %w", dev, err)
	}
	// As in the script these three may fail: an odd driver's port still works.
	_ = h.SetLinkAddr(link, backendMAC)
	_ = h.FlushLink(link)
	if mtu <= 0 {
		mtu = br.MTU
	}
	if mtu > 0 && mtu != link.MTU {
		_ = h.SetLinkMTU(link, mtu)
	}
	if link.Bridge != br.Index {
		if err := h.SetLinkMaster(link, br.Index); err != nil {
			return 0, fmt.Errorf("interface %s: join bridge %s: %w", dev, bridge, err)
		}
	}
	if err := h.SetLinkUp(link, true); err != nil {
		return 0, fmt.Errorf("interface %s: set up: %w", dev, err)
	}
	return mtu, nil
}

// LeaveBridge sets interface dev down and takes it off its bridge. An interface
// that is gone, as after its guest, is no error.
func (h *Host) LeaveBridge(dev string) error {
	link, err := h.FindLink(dev)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("interface %s: %w", dev, err)
	}
	err = h.SetLinkUp(link, false)
	if err == nil && link.Bridge != 0 {
		err = h.SetLinkMaster(link, 0)
	}
	if err != nil && !errors.Is(err, syscall.ENODEV) { // its driver may remove it right now
		return fmt.Errorf("interface %s: leave its bridge: %w", dev, err)
	}
	return nil
}

// LinkExists reports whether there is a network interface of that name.
func (h *Host) LinkExists(dev string) bool {
	_, err := h.FindLink(dev)
	return err == nil
}
