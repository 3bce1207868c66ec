package hostile

import (
	"context"
	"errors"

	"goxl/backends/backtest"
	"goxl/xenctrl/gnttab"
	"goxl/xenstore"
)

// InMemory is the kernel of a guest in memory, for tests of a backend in its process.
func InMemory(g *backtest.Guest) Xen { return &inMemory{g, map[gnttab.Port]*backtest.Port{}} }

type inMemory struct {
	g     *backtest.Guest
	ports map[gnttab.Port]*backtest.Port
}

func (m *inMemory) Share(n int, a gnttab.Access) (*Pages, error) {
	p := &Pages{}
	var all []backtest.Page
	if a == gnttab.ReadOnly { // one at a time
		all = append(all, m.g.ReadOnlyPage())
		p.Bytes = all[0].Bytes
	} else {
		all, p.Bytes = m.g.Pages(n)
	}
	for _, page := range all {
		p.Refs = append(p.Refs, page.Ref)
	}
	p.Free = func() error {
		for _, page := range all {
			m.g.Revoke(page)
		}
		return nil
	}
	return p, nil
}

// noPort is one that domain 0 cannot bind to.
const noPort gnttab.Port = 9999

func (m *inMemory) BindUnbound(dom gnttab.DomID) (gnttab.Port, error) {
	if dom != domain0 {
		return noPort, nil
	}
	p := m.g.Port()
	m.ports[p.ID] = p
	return p.ID, nil
}

func (m *inMemory) Unbind(p gnttab.Port) error {
	delete(m.ports, p)
	return nil
}

func (m *inMemory) Notify(p gnttab.Port) error {
	m.ports[p].Notify()
	return nil
}

// Console is what such a guest has none of: the tests of consoles have their own.
func (m *inMemory) Console(context.Context, *xenstore.Client) (*Console, error) {
	return nil, errors.ErrUnsupported
}
