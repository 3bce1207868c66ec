package device

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"goxl/xenstore"
)

// port does the work of Xen's hotplug script "vif-bridge" for one interface, as
// Debian ships it: without rules for the packet filter.
type port struct {
	set     *Set
	dev     Device
	bridge  string
	name    string // vifname; "" is the kernel's name
	mtu     int    // zero: the bridge's
	tellMTU bool
}

// linkTimeout is how long netback may take to make its interface.
const linkTimeout = 10 * time.Second

func (p *port) online(ctx context.Context) error {
	h := p.set.Host
	bridge, err := h.ResolveBridge(p.bridge)
	if err != nil {
		return err
	}
	name := ifName(p.dev)
	wait, cancel := context.WithTimeout(ctx, linkTimeout)
	defer cancel()
	if err := h.AwaitLink(wait, name); err != nil {
		return fmt.Errorf("%w; is the module xen-netback loaded, or goxl's netback running, and does dmesg or its log say why not?", err)
	}
	if p.name != "" {
		if err := h.RenameLink(name, p.name); err != nil {
			return err
		}
		name = p.name
	}
	mtu, err := h.JoinBridge(name, bridge, p.mtu)
	if err != nil {
		return err
	}
	if !p.tellMTU {
		mtu = 0
	}
	return p.publish(ctx, mtu)
}

// publish tells the backend that its interface is where it belongs, and the guest the
// MTU unless that is 0. A device that was taken away meanwhile stays away.
func (p *port) publish(ctx context.Context, mtu int) error {
	return p.set.Store.Update(ctx, func(tx *xenstore.Tx) error {
		if err := stillWanted(ctx, tx, p.dev); err != nil {
			return err
		}
		var w xenstore.Batch
		if mtu > 0 {
			tell, err := p.mayTell(ctx, tx)
			if err != nil {
				return err
			}
			if tell {
				w.Write(p.dev.FrontendPath()+"/mtu", strconv.Itoa(mtu))
			}
		}
		w.Write(p.dev.BackendPath()+"/hotplug-status", "connected")
		return tx.Send(ctx, &w)
	})
}

// mayTell reports whether the guest's node of the MTU is ours to write. The toolstack
// makes it for the backend's domain, but not one that is older than Xen 4.15.
func (p *port) mayTell(ctx context.Context, tx *xenstore.Tx) (bool, error) {
	if p.set.Self == 0 {
		return true, nil
	}
	return tx.Exists(ctx, p.dev.FrontendPath()+"/mtu")
}

// offline needs no bridge name: the interface knows what it is a port of.
func (p *port) offline() error {
	name := ifName(p.dev)
	if p.name != "" && p.set.Host.LinkExists(p.name) {
		name = p.name
	}
	return p.set.Host.LeaveBridge(name)
}
