package migrate

import (
	"fmt"

	"goxl/migrate/stream"
	"goxl/xenctrl/abi"
)

// Offsets in a vcpu_guest_context of 64 bits. Source:
// xen/include/public/arch-x86/xen.h.
const (
	ctxFlags   = 512
	ctxRDX     = 520 + 12*8 // of vcpu 0: the frame of the start info
	ctxGDT     = 4832
	ctxGDTEnts = 4960
	ctxCtrl    = 4984
	ctxCR1     = ctxCtrl + 1*8 // the page tables of user mode; 0: none
	ctxCR3     = ctxCtrl + 3*8

	ctxOnline = 1 << 5 // VGCF_online

	maxGDTFrames = 14 // the rest of the 16 is Xen's: FIRST_RESERVED_GDT_PAGE
	gdtPerFrame  = abi.PageSize / 8
)

func (g *pvGuest) state(w *stream.Writer) error {
	s := new(stream.SharedInfo)
	if err := g.shared.With(func(b []byte) error { copy(s[:], b); return nil }); err != nil {
		return err
	}
	if err := w.Write(s); err != nil {
		return err
	}
	info, err := g.xen.DomainInfo(g.id)
	if err != nil {
		return err
	}
	for id := uint32(0); id <= info.MaxVCPUID && id < stream.MaxVCPUs; id++ {
		v, err := g.xen.VCPUInfo(g.id, id)
		if err != nil {
			return err
		}
		if !v.Online {
			continue
		}
		if err := g.vcpu(w, id); err != nil {
			return fmt.Errorf("vcpu %d: %w", id, err)
		}
	}
	return nil
}

// vcpu writes the records of one vcpu.
func (g *pvGuest) vcpu(w *stream.Writer, id uint32) error {
	ctx, err := g.xen.VCPUContext(g.id, id)
	if err != nil {
		return err
	}
	if err := g.outgoingContext(id, ctx); err != nil {
		return err
	}
	ext, err := g.xen.ExtVCPUContext(g.id, id)
	if err != nil {
		return err
	}
	_, xsave, err := g.xen.VCPUExtState(g.id, id)
	if err != nil {
		return err
	}
	list, err := g.xen.VCPUMSRs(g.id, id)
	if err != nil {
		return err
	}
	var msrs []byte
	for _, m := range list {
		msrs = abi.AppendVCPUMSR(msrs, m)
	}
	for _, r := range []stream.VCPU{
		{Kind: stream.TypeVCPUBasic, ID: id, Context: ctx}, {Kind: stream.TypeVCPUExtended, ID: id, Context: ext},
		{Kind: stream.TypeVCPUXSave, ID: id, Context: xsave}, {Kind: stream.TypeVCPUMSRs, ID: id, Context: msrs},
	} {
		if len(r.Context) == 0 {
			continue
		}
		if err := w.Write(&r); err != nil {
			return err
		}
	}
	return nil
}

// outgoingContext replaces the machine frames in a vcpu's registers.
func (g *pvGuest) outgoingContext(id uint32, c []byte) error {
	pfn := func(what string, m uint64) (uint64, error) {
		p, ok := g.pfn(abi.MFN(m))
		if !ok {
			return 0, fmt.Errorf("%s is frame %#x, which is none of the guest's pages", what, m)
		}
		return uint64(p), nil
	}
	if id == 0 {
		p, err := pfn("the start info", le.Uint64(c[ctxRDX:]))
		if err != nil {
			return err
		}
		le.PutUint64(c[ctxRDX:], p)
	}
	n, err := gdtFrames(c)
	if err != nil {
		return err
	}
	for i := range n {
		p, err := pfn("the GDT", le.Uint64(c[ctxGDT+8*i:]))
		if err != nil {
			return err
		}
		le.PutUint64(c[ctxGDT+8*i:], p)
	}
	p, err := pfn("cr3", le.Uint64(c[ctxCR3:])>>abi.PageShift)
	if err != nil {
		return err
	}
	le.PutUint64(c[ctxCR3:], p<<abi.PageShift)
	if user := le.Uint64(c[ctxCR1:]); user != 0 {
		if p, err = pfn("the user's cr3", user>>abi.PageShift); err != nil {
			return err
		}
		le.PutUint64(c[ctxCR1:], p<<abi.PageShift|1)
	}
	return nil
}

// gdtFrames returns how many frames the GDT of a context has.
func gdtFrames(c []byte) (int, error) {
	ents := le.Uint64(c[ctxGDTEnts:])
	if ents > maxGDTFrames*gdtPerFrame {
		return 0, fmt.Errorf("a GDT of %d entries, at most %d are possible", ents, maxGDTFrames*gdtPerFrame)
	}
	return int(ents+gdtPerFrame-1) / gdtPerFrame, nil
}
