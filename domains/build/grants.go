package build

import (
	"context"
	"errors"
	"fmt"

	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// Entries of the grant table that every guest has reserved. Source:
// xen/include/public/grant_table.h.
const (
	grantConsole = 0 // GNTTAB_RESERVED_CONSOLE
	grantStore   = 1 // GNTTAB_RESERVED_XENSTORE

	grantEntrySize    = 8 // version 1
	grantPermitAccess = 1
)

// seedGrants lets the backends of the two rings map them by grant, which those
// outside of dom0 have to.
func (b *builder) seedGrants(ctx context.Context) error {
	table := xenctrl.Resource{Type: abi.ResourceGrantTable, ID: abi.ResourceGrantShared}
	m, err := b.h.MapResource(b.dom, table, 0, 1, xenctrl.ProtReadWrite)
	switch {
	case errors.Is(err, errors.ErrUnsupported) && b.p.Kind == PV:
		m, err = b.mapGrantsPV()
	case errors.Is(err, errors.ErrUnsupported):
		return b.seedThroughPhysmap()
	}
	if err != nil {
		return fmt.Errorf("grant the rings: %w", err)
	}
	return errors.Join(m.With(b.putGrants), m.Close())
}

func (b *builder) putGrants(table []byte) error {
	for _, g := range []struct {
		entry  int
		remote abi.DomID
		frame  abi.GFN
	}{
		{grantConsole, b.p.Console.Remote, b.res.Console.Frame},
		{grantStore, b.p.Store.Remote, b.res.Store.Frame},
	} {
		if g.remote == b.dom { // a domain that is its own xenstore has no use for a grant
			continue
		}
		e := table[g.entry*grantEntrySize:]
		le.PutUint16(e[2:], uint16(g.remote))
		le.PutUint32(e[4:], uint32(g.frame))
		le.PutUint16(e, grantPermitAccess)
	}
	return nil
}

// mapGrantsPV maps the table by its machine frame, on kernels before 4.18.
func (b *builder) mapGrantsPV() (*xenctrl.Mapping, error) {
	frames, err := b.h.GrantSetupTable(b.dom, 1)
	if err != nil {
		return nil, err
	}
	return b.h.MapForeign(b.dom, frames, xenctrl.ProtReadWrite)
}

// seedThroughPhysmap puts the table for a moment where the guest's own memory
// ends, on kernels before 4.18.
func (b *builder) seedThroughPhysmap() error {
	top, err := b.h.MaximumGPFN(b.dom)
	if err != nil {
		return err
	}
	scratch := top + 1
	if err := b.h.AddToPhysmap(b.dom, abi.SpaceGrantTable, 0, scratch, 0); err != nil {
		return fmt.Errorf("grant the rings: %w", err)
	}
	m, err := b.mapFrame(scratch)
	if err == nil {
		err = errors.Join(m.With(b.putGrants), m.Close())
	}
	return errors.Join(err, b.h.RemoveFromPhysmap(b.dom, scratch))
}

// mapFrame maps one frame by Xen's number for it.
func (g *guest) mapFrame(f abi.GFN) (*xenctrl.Mapping, error) {
	return g.h.MapForeign(g.dom, []abi.GFN{f}, xenctrl.ProtReadWrite)
}

// consoleConnection is where a console ring says that nobody has connected yet.
// Before 4.21 the byte had no meaning. Source: xen/include/public/io/console.h.
const (
	consoleConnection   = 3088
	consoleDisconnected = 1
)

// initConsole marks a cleared console ring as not connected, for guests that
// look, where the daemons of the running Xen clear the mark.
func (b *builder) initConsole(ctx context.Context, p abi.PFN) error {
	if !b.h.Version().AtLeast(4, 21) {
		return nil
	}
	return b.page(ctx, p, func(b []byte) { b[consoleConnection] = consoleDisconnected })
}
