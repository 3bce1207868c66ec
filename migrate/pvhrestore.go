package migrate

import (
	"context"
	"fmt"

	"goxl/migrate/stream"
	"goxl/xenctrl/abi"
)

// pvhImage is a PVH guest that is restored.
type pvhImage struct {
	*filler
	here  sparseSet
	state []byte // HVM_CONTEXT
}

func (g *pvhImage) header() stream.GuestType { return stream.GuestHVM }

// maxGFN bounds the page numbers of a guest: its addresses have 48 bits at most.
const maxGFN = 1<<36 - 1

func (g *pvhImage) admit(d *stream.PageData) error {
	for i, p := range d.PFNs {
		if p > maxGFN {
			return fmt.Errorf("page %#x is beyond a guest's last address", uint64(p))
		}
		if d.Types[i].Level() != 0 {
			return fmt.Errorf("page %#x is a page table (%s), which only a PV guest has", uint64(p), d.Types[i])
		}
	}
	return nil
}

func (g *pvhImage) present(p abi.PFN) bool { return g.here.has(p) }

func (g *pvhImage) populated(at []abi.PFN, _ []abi.MFN) {
	for _, p := range at {
		g.here.add(p)
	}
}

func (g *pvhImage) dropped(p abi.PFN) { g.here.remove(p) }

func (g *pvhImage) frame(p abi.PFN) abi.GFN { return abi.GFN(p) }

func (g *pvhImage) incoming(_ context.Context, _ stream.PageType, to, page []byte) error {
	copy(to, page)
	return nil
}

func (g *pvhImage) take(_ context.Context, b stream.Body) error {
	switch b := b.(type) {
	case stream.HVMContext:
		g.state = append([]byte(nil), b...)
		return nil
	case stream.HVMParams:
		for _, p := range b {
			if err := g.param(p); err != nil {
				return fmt.Errorf("parameter %d: %w", p.Index, err)
			}
		}
		return nil
	}
	return unexpected(b)
}

// paramPAE is of no use any more; old releases send it. Source: hvm/params.h.
const paramPAE = 4

// param sets one parameter. The pages of rings start empty.
func (g *pvhImage) param(p stream.HVMParam) error {
	switch p.Index {
	case paramPAE:
		return nil
	case abi.ParamStorePFN:
		g.store = abi.GFN(p.Value)
	case abi.ParamConsolePFN:
		g.console = abi.GFN(p.Value)
	}
	switch p.Index {
	case abi.ParamStorePFN, abi.ParamConsolePFN, abi.ParamIOReqPFN, abi.ParamBufIOReqPFN:
		if err := g.clear(abi.PFN(p.Value)); err != nil {
			return err
		}
	}
	for _, known := range movedParams {
		if known == p.Index {
			return g.Xen.SetHVMParam(g.Dom, uint32(p.Index), p.Value)
		}
	}
	return fmt.Errorf("nobody sends it along with a guest")
}

func (g *pvhImage) finish(context.Context) error {
	if g.store == 0 || g.console == 0 {
		return fmt.Errorf("no page was named for the rings of xenstore and the console")
	}
	if err := g.Xen.SetHVMParam(g.Dom, abi.ParamStoreEvtchn, uint64(g.StorePort)); err != nil {
		return err
	}
	if err := g.Xen.SetHVMParam(g.Dom, abi.ParamConsoleEvtchn, uint64(g.ConsolePort)); err != nil {
		return err
	}
	if len(g.state) == 0 {
		return fmt.Errorf("the state of the vcpus is missing")
	}
	if err := g.Xen.SetHVMContext(g.Dom, g.state); err != nil {
		return fmt.Errorf("this Xen does not take the guest's state: %w", err)
	}
	return nil
}

// sparseSet is a set of page numbers of any size.
type sparseSet map[abi.PFN]*[sparsePages / 64]uint64

const sparsePages = 1 << 15 // 128 MiB in 4 KiB

func (s *sparseSet) add(p abi.PFN) {
	if *s == nil {
		*s = sparseSet{}
	}
	c := (*s)[p/sparsePages]
	if c == nil {
		c = new([sparsePages / 64]uint64)
		(*s)[p/sparsePages] = c
	}
	c[p%sparsePages/64] |= 1 << (p % 64)
}

func (s sparseSet) remove(p abi.PFN) {
	if c := s[p/sparsePages]; c != nil {
		c[p%sparsePages/64] &^= 1 << (p % 64)
	}
}

func (s sparseSet) has(p abi.PFN) bool {
	c := s[p/sparsePages]
	return c != nil && c[p%sparsePages/64]>>(p%64)&1 != 0
}
