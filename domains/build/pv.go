package build

import (
	"context"
	"errors"
	"fmt"

	"goxl/domains/image"
	"goxl/xenctrl/abi"
)

// pvPlan builds a PV guest of 64 bits.
type pvPlan struct {
	*builder
	pv     *image.PV
	total  abi.Pages
	layout *pvLayout
}

func (b *builder) planPV() (plan, error) {
	pv, err := b.p.Image.PV()
	if err != nil {
		return nil, err
	}
	if err := b.supports(pv.GuestType); err != nil {
		return nil, err
	}
	if b.p.Image.Bits != 64 || b.p.Image.Machine != image.AMD64 {
		return nil, fmt.Errorf("32-bit PV kernel: %w (run it as type=\"pvh\" with pvshim=1)", errors.ErrUnsupported)
	}
	pl := &pvPlan{builder: b, pv: pv, total: (b.p.Target >> 10 << 10).Pages()} // whole MiB, as Xen's tools
	ramdisk := int64(0)
	if len(b.p.Modules) > 0 {
		ramdisk = b.p.Modules[0].Size
	}
	pl.layout, err = layOutPV(pv, pl.total, pl.total, ramdisk)
	return pl, err
}

func (pl *pvPlan) populate(ctx context.Context) error {
	if err := pl.h.SetAddressSize(pl.dom, 64); err != nil {
		return err
	}
	release, err := pl.claim(pl.total)
	if err != nil {
		return err
	}
	pl.p2m = make([]abi.MFN, pl.total)
	ranges, err := pl.ranges(memRange{0, abi.PFN(pl.total), 0, 0})
	if err != nil {
		return errors.Join(err, release())
	}
	for _, r := range ranges {
		if err := pl.populatePV(ctx, r); err != nil {
			return errors.Join(err, release())
		}
	}
	return release()
}

func (pl *pvPlan) load(ctx context.Context) error {
	l := pl.layout
	// Page p holds the segments' addresses from p*4096 + VirtBase - Offset on.
	if err := pl.putSegments(ctx, l.kernel, pl.p.Image.Segments, pl.pv.VirtBase-pl.pv.Offset); err != nil {
		return fmt.Errorf("load kernel: %w", err)
	}
	if l.ramdisk.pages > 0 {
		if err := pl.putFile(ctx, "ramdisk", l.ramdisk, pl.p.Modules[0]); err != nil {
			return fmt.Errorf("load ramdisk: %w", err)
		}
	}
	for _, ring := range []abi.PFN{l.store, l.console} {
		if err := pl.page(ctx, ring, func(b []byte) { clear(b) }); err != nil {
			return err
		}
	}
	if err := pl.initConsole(ctx, l.console); err != nil {
		return err
	}
	if err := pl.putList(ctx); err != nil {
		return fmt.Errorf("write the list of pages: %w", err)
	}
	return pl.putTables(ctx)
}

// putList writes the guest's list of its machine frames.
func (pl *pvPlan) putList(ctx context.Context) error {
	size := pagesOf(uint64(len(pl.p2m)) * p2mEntry)
	return pl.each(ctx, pl.layout.p2m.pfn, size, func(p abi.PFN, b []byte) error {
		first := uint64(p-pl.layout.p2m.pfn) * (abi.PageSize / p2mEntry)
		for i := range uint64(len(b) / p2mEntry) {
			v := uint64(0)
			if first+i < uint64(len(pl.p2m)) {
				v = uint64(pl.p2m[first+i])
			}
			le.PutUint64(b[i*p2mEntry:], v)
		}
		return nil
	})
}

// putTables writes the page tables. When it returns they are mapped nowhere, as
// Xen demands before it takes them for page tables.
func (pl *pvPlan) putTables(ctx context.Context) error {
	for i := range pl.layout.tables.maps {
		m := &pl.layout.tables.maps[i]
		tables := m.list()
		err := pl.each(ctx, m.level[levels-1].first, abi.Pages(m.tables), func(p abi.PFN, b []byte) error {
			clear(b)
			for off := 0; off < len(b); off += abi.PageSize {
				tb := tables[p-tables[0].pfn+abi.PFN(off>>abi.PageShift)]
				pl.layout.tables.fill(tb, pl.mfn, func(i int, e uint64) { le.PutUint64(b[off+i*8:], e) })
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("write page tables: %w", err)
		}
	}
	return nil
}

// start writes what the kernel is told and puts the first vcpu at its entry.
func (pl *pvPlan) start(ctx context.Context) error {
	info, err := pl.h.DomainInfo(pl.dom)
	if err != nil {
		return err
	}
	l := pl.layout
	err = pl.page(ctx, l.startInfo, func(b []byte) { copy(b, pl.startInfo(abi.MFN(info.SharedInfoFrame)).bytes()) })
	if err != nil {
		return fmt.Errorf("write start info: %w", err)
	}
	if h := pl.pv.HypercallPage; h != nil {
		if err := pl.h.HypercallInit(pl.dom, pl.frame(abi.PFN((*h-l.base)>>abi.PageShift))); err != nil {
			return err
		}
	}
	root := pl.mfn(l.tables.root())
	if err := pl.h.PinTable(pl.dom, levels, root); err != nil {
		return err
	}
	if err := pl.shareInfo(info.SharedInfoFrame); err != nil {
		return fmt.Errorf("write shared info: %w", err)
	}
	return pl.h.SetVCPUContext(pl.dom, 0, pvContext(pl.pv, l, root))
}

func (pl *pvPlan) startInfo(shared abi.MFN) *pvStart {
	l := pl.layout
	s := &pvStart{
		guestType: pl.pv.GuestType, pages: pl.total, sharedInfo: shared,
		store: pl.mfn(l.store), storePort: pl.res.Store.Port,
		console: pl.mfn(l.console), consolePort: pl.res.Console.Port,
		tables: l.addr(l.tables.root()), tablePages: l.tables.maps[0].tables,
		p2m: l.p2mBase, cmdLine: pl.p.CmdLine,
		p2mOfItsOwn: l.ownP2M, firstP2M: l.p2m.pfn, p2mFrames: l.p2m.pages,
	}
	if l.ramdisk.pages > 0 {
		s.modLen, s.modStart = l.ramdisk.size, l.addr(l.ramdisk.pfn)
		if pl.pv.RamdiskByPFN {
			// By page number its length is in whole pages too.
			s.flags, s.modStart, s.modLen = sifModStartPFN, uint64(l.ramdisk.pfn), uint64(l.ramdisk.pages)<<abi.PageShift
		}
	}
	return s
}

// shareInfo initialises the page that Xen and the guest share, which is not one
// of the guest's own.
func (pl *pvPlan) shareInfo(frame abi.GFN) error {
	m, err := pl.mapFrame(frame)
	if err != nil {
		return err
	}
	err = m.With(func(b []byte) error { clearSharedInfo(b); return nil })
	return errors.Join(err, m.Close())
}

func (pl *pvPlan) rings() (store, console abi.GFN) {
	return pl.frame(pl.layout.store), pl.frame(pl.layout.console)
}
