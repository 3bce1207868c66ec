package console

import (
	"context"
	"errors"
	"fmt"

	"goxl/domains/logs"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/evtchn"
	"goxl/xenctrl/gnttab"
)

// reservedGrant is the reference under which a guest's toolstack has granted the page
// of its console. Source: grant_table.h, GNTTAB_RESERVED_CONSOLE.
const reservedGrant abi.GrantRef = 0

// Page is a page of a guest. Inside With its memory may be touched; the guest may
// change it at any time.
type Page interface {
	With(f func(b []byte) error) error
	Close() error
}

// Port is our end of a guest's event channel.
type Port interface {
	// Wait blocks until there is an event; further ones wait for Rearm.
	Wait(ctx context.Context) error
	Rearm() error
	Notify() error
	// Bound says whether the guest's end is still there.
	Bound() (bool, error)
	Close() error
}

// Host is what the daemon needs of the machine.
type Host interface {
	Domains() ([]xenctrl.DomainInfo, error)
	// MapPrimary maps the page of the primary console: by its reserved grant, or
	// where there is none by its frame.
	MapPrimary(dom abi.DomID, frame abi.GFN) (Page, error)
	Bind(dom abi.DomID, remote abi.Port) (Port, error)
	// HypervisorLog returns what Xen has logged since index, 0 for all that it still
	// has, and the next index.
	HypervisorLog(index uint32) ([]byte, uint32, error)
	BindHypervisorLog() (Port, error)
}

// XenHost is the machine that we run on.
type XenHost struct {
	xen    *xenctrl.Handle
	grants *gnttab.Conn // nil: the kernel has no grant device
	log    *logs.Logger
}

// OpenHost opens the machine. Without a grant device pages are mapped as foreign ones.
func OpenHost(log *logs.Logger) (*XenHost, error) {
	h, err := xenctrl.Open()
	if err != nil {
		return nil, err
	}
	g, err := gnttab.Open()
	if err != nil {
		log.Warn("no grant device; pages of guests are mapped by their frames", logs.Error(err))
	}
	return &XenHost{h, g, log}, nil
}

// Close closes it. Pages and ports that are open stay so.
func (h *XenHost) Close() error {
	if h.grants == nil {
		return h.xen.Close()
	}
	return errors.Join(h.grants.Close(), h.xen.Close())
}

// Domains returns what Xen says of all domains.
func (h *XenHost) Domains() ([]xenctrl.DomainInfo, error) { return h.xen.Domains() }

// MapPrimary maps the page of a primary console.
func (h *XenHost) MapPrimary(dom abi.DomID, frame abi.GFN) (Page, error) {
	err := fmt.Errorf("no grant device: %w", errors.ErrUnsupported)
	if h.grants != nil {
		var p Page
		if p, err = h.grants.Map(dom, []abi.GrantRef{reservedGrant}, gnttab.ReadWrite); err == nil {
			return p, nil
		}
	}
	m, ferr := h.xen.MapForeign(dom, []abi.GFN{frame}, xenctrl.ProtReadWrite)
	if ferr != nil {
		return nil, fmt.Errorf("map console of domain %d: %w", dom, errors.Join(err, ferr))
	}
	return m, nil
}

// HypervisorLog returns what Xen has logged since index, and the next index.
func (h *XenHost) HypervisorLog(index uint32) ([]byte, uint32, error) {
	return h.xen.FollowConsole(index)
}

// Bind connects to a guest's port. Each has a set of its own, so that a storm of
// events of one guest fills no other's queue.
func (h *XenHost) Bind(dom abi.DomID, remote abi.Port) (Port, error) {
	c, err := evtchn.Open()
	if err != nil {
		return nil, err
	}
	p, err := c.BindInterdomain(dom, remote)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &port{c, p, h.xen}, nil
}

// BindHypervisorLog connects to Xen's interrupt for a log that grows. One holder at a
// time may have it.
func (h *XenHost) BindHypervisorLog() (Port, error) {
	c, err := evtchn.Open()
	if err != nil {
		return nil, err
	}
	p, err := c.BindVIRQ(evtchn.VIRQConRing)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &port{c, p, h.xen}, nil
}

// port is one port in a set of its own.
type port struct {
	set *evtchn.Conn
	p   evtchn.Port
	xen *xenctrl.Handle
}

func (p *port) Wait(ctx context.Context) error {
	_, err := p.set.Wait(ctx)
	if errors.Is(err, evtchn.ErrOverflow) {
		return nil // look at the ring
	}
	return err
}

func (p *port) Rearm() error  { return p.set.Unmask(p.p) }
func (p *port) Notify() error { return p.set.Notify(p.p) }
func (p *port) Close() error  { return p.set.Close() }

func (p *port) Bound() (bool, error) {
	s, err := p.xen.EvtchnStatus(abi.DomSelf, p.p)
	return s.Status == abi.EvtchnInterdomain, err
}
