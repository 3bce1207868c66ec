package backends

import (
	"context"

	"goxl/xenctrl/abi"
	"goxl/xenctrl/evtchn"
	"goxl/xenctrl/gnttab"
)

// Mapping is memory of another domain, as gnttab.Mapping has it.
type Mapping interface {
	// With calls f with the memory, which is dead when f returns. A Close waits.
	With(f func(b []byte) error) error
	Close() error
}

// Grants is one set of grants, whose Close takes back what is left of them.
type Grants interface {
	Map(dom abi.DomID, refs []abi.GrantRef) (Mapping, error) // to read and write
	NewBatch() (*gnttab.Batch, error)
	Close() error
}

// Events is one set of event channels, as evtchn.Conn has it.
type Events interface {
	BindInterdomain(dom abi.DomID, remote abi.Port) (abi.Port, error)
	Wait() (abi.Port, error)
	Unmask(abi.Port) error
	Notify(abi.Port) error
	Close() error
}

// PolledEvents is a set of event channels for a thread that polls, as evtchn.Polled has it.
type PolledEvents interface {
	BindInterdomain(dom abi.DomID, remote abi.Port) (abi.Port, error)
	FD() int
	Take() (abi.Port, bool, error)
	Unmask(abi.Port) error
	Notify(abi.Port) error
	Close() error
}

// Xen is what devices need of the hypervisor. Tests have one in memory.
type Xen interface {
	OpenGrants() (Grants, error)
	OpenEvents() (Events, error)
	OpenPolledEvents() (PolledEvents, error)
}

// Host returns the hypervisor that this domain runs on.
func Host() Xen { return host{} }

type host struct{}

func (host) OpenGrants() (Grants, error) {
	c, err := gnttab.Open()
	if err != nil {
		return nil, err
	}
	return hostGrants{c}, nil
}

func (host) OpenEvents() (Events, error) {
	c, err := evtchn.Open()
	if err != nil {
		return nil, err
	}
	return hostEvents{c}, nil
}

func (host) OpenPolledEvents() (PolledEvents, error) {
	c, err := evtchn.OpenPolled()
	if err != nil {
		return nil, err
	}
	return c, nil
}

type hostGrants struct{ *gnttab.Conn }

func (g hostGrants) Map(dom abi.DomID, refs []abi.GrantRef) (Mapping, error) {
	m, err := g.Conn.Map(dom, refs, gnttab.ReadWrite)
	if err != nil {
		return nil, err
	}
	return m, nil
}

type hostEvents struct{ *evtchn.Conn }

// Wait ends with Close only: a context would cost an allocation for each event.
func (e hostEvents) Wait() (abi.Port, error) { return e.Conn.Wait(context.Background()) }
