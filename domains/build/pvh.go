package build

import (
	"context"
	"errors"
	"fmt"

	"goxl/domains/build/acpi"
	"goxl/domains/image"
	"goxl/xenctrl/abi"
)

// pvhPlan builds a PVH guest.
type pvhPlan struct {
	*builder
	kernel *image.PVH
	mem    abi.Pages // RAM; with populate on demand more than the guest gets at first
	layout *pvhLayout
	tables *acpi.Tables
	memory []abi.E820Entry
}

func (b *builder) planPVH() (plan, error) {
	k, err := b.p.Image.PVH()
	if err != nil {
		return nil, err
	}
	if err := b.supports("hvm-3.0-x86_32"); err != nil {
		return nil, err
	}
	pl := &pvhPlan{builder: b, kernel: k, mem: (b.p.MaxMem >> 10 << 10).Pages()}
	numa, err := b.acpiNUMA(pl.mem)
	if err != nil {
		return nil, err
	}
	pl.tables, err = acpi.New(acpi.Config{VCPUs: b.p.VCPUs, Online: b.p.online, LowRSDP: k.RSDPBelow1M, NUMA: numa})
	if err != nil {
		return nil, err
	}
	empty := &pvhLayout{}
	empty.lowEnd, empty.highEnd = splitMemory(uint64(pl.mem) << abi.PageShift)
	pl.memory = empty.memoryMap(pl.tables)
	pl.layout, err = layOutPVH(k, pl.mem, b.p.Modules, pvhStartSize(b.p.CmdLine, len(pl.memory)))
	return pl, err
}

// onDemand reports whether the guest gets its memory only as it touches it: when
// it may grow beyond what it starts with.
func (pl *pvhPlan) onDemand() bool { return pl.mem > pl.p.Target.Pages() }

func (pl *pvhPlan) populate(ctx context.Context) error {
	flags := uint32(0)
	if pl.onDemand() {
		flags = abi.MemfPopulateOnDemand
	}
	release, err := pl.claim(min(pl.mem, pl.p.Target.Pages()))
	if err != nil {
		return err
	}
	if pl.onDemand() {
		if len(pl.p.VNUMA) > 0 {
			return errors.Join(errors.New("vnuma with memory that is populated on demand (maxmem above memory)"), release())
		}
		if _, err := pl.h.SetPODTarget(pl.dom, pl.p.Target.Pages()); err != nil {
			return errors.Join(err, release())
		}
	}
	all := []memRange{{0, abi.PFN(pl.layout.lowEnd >> abi.PageShift), 0, flags}}
	if pl.layout.highEnd > fourGiB {
		all = append(all, memRange{abi.PFN(fourGiB >> abi.PageShift), abi.PFN(pl.layout.highEnd >> abi.PageShift), 0, flags})
	}
	ranges, err := pl.ranges(all...)
	if err != nil {
		return errors.Join(err, release())
	}
	for _, r := range ranges {
		if err := pl.populatePVH(ctx, r); err != nil {
			return errors.Join(err, release())
		}
	}
	return release()
}

func (pl *pvhPlan) load(ctx context.Context) error {
	if err := pl.h.SetMemoryMap(pl.dom, pl.memory); err != nil {
		return err
	}
	if err := pl.putSegments(ctx, pl.layout.kernel, pl.p.Image.Segments, 0); err != nil {
		return fmt.Errorf("load kernel: %w", err)
	}
	for i, m := range pl.p.Modules {
		if err := pl.putFile(ctx, fmt.Sprintf("module %d", i), pl.layout.modules[i], m); err != nil {
			return fmt.Errorf("load module %d: %w", i, err)
		}
	}
	if err := pl.putACPI(ctx); err != nil {
		return fmt.Errorf("load ACPI tables: %w", err)
	}
	if err := pl.putSpecial(ctx); err != nil {
		return fmt.Errorf("make special pages: %w", err)
	}
	return pl.put(ctx, pl.layout.start, pl.startInfo())
}

// putACPI populates and fills the pages of the tables, which lie outside of RAM
// (the root pointer may be below 1 MiB, in RAM that is there already).
func (pl *pvhPlan) putACPI(ctx context.Context) error {
	for _, m := range pl.tables.Modules {
		first := abi.PFN(m.Addr >> abi.PageShift)
		off := int(m.Addr & (abi.PageSize - 1))
		n := pagesOf(uint64(off + len(m.Data)))
		if m.Addr >= pvhHole {
			if err := pl.exactly(ctx, "pages for ACPI tables", pages(first, int(n), 1), 0, nil); err != nil {
				return err
			}
		}
		err := pl.each(ctx, first, n, func(p abi.PFN, b []byte) error {
			copy(b[off:], m.Data)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// putSpecial makes the pages that Xen and the toolstack use, and tells where
// they are.
func (pl *pvhPlan) putSpecial(ctx context.Context) error {
	if err := pl.exactly(ctx, "special pages", pages(specialFirst, specialPages, 1), 0, nil); err != nil {
		return err
	}
	err := pl.each(ctx, specialFirst, specialPages, func(_ abi.PFN, b []byte) error {
		clear(b)
		copy(b[(specialIdentPT-specialFirst)<<abi.PageShift:], identityPageTable())
		return nil
	})
	if err != nil {
		return err
	}
	if err := pl.initConsole(ctx, specialConsole); err != nil {
		return err
	}
	for _, p := range []struct {
		index uint32
		value uint64
	}{
		{abi.ParamStorePFN, uint64(specialStore)},
		{abi.ParamBufIOReqPFN, uint64(specialBufIOReq)},
		{abi.ParamIOReqPFN, uint64(specialIOReq)},
		{abi.ParamConsolePFN, uint64(specialConsole)},
		{abi.ParamPagingRingPFN, uint64(specialPaging)},
		{abi.ParamMonitorRingPFN, uint64(specialMonitor)},
		{abi.ParamSharingRingPFN, uint64(specialSharing)},
		{abi.ParamIdentPT, uint64(specialIdentPT) << abi.PageShift},
		{abi.ParamConsoleEvtchn, uint64(pl.res.Console.Port)},
		{abi.ParamStoreEvtchn, uint64(pl.res.Store.Port)},
	} {
		if err := pl.h.SetHVMParam(pl.dom, p.index, p.value); err != nil {
			return err
		}
	}
	return nil
}

func (pl *pvhPlan) startInfo() []byte {
	s := &pvhStart{
		addr: uint64(pl.layout.start.pfn) << abi.PageShift, cmdLine: pl.p.CmdLine,
		rsdp: pl.tables.RSDP(), memory: pl.memory,
	}
	for i, m := range pl.p.Modules {
		s.modules = append(s.modules, pvhModule{
			uint64(pl.layout.modules[i].pfn) << abi.PageShift, uint64(m.Size), m.CmdLine})
	}
	return s.bytes()
}

// start sets the caches of every vcpu to write-back, without which the guest
// would run as if it had none, and puts the first one at the kernel's entry.
func (pl *pvhPlan) start(ctx context.Context) error {
	full, err := pl.h.HVMContext(pl.dom)
	if err != nil {
		return err
	}
	head, err := findRecord(full, recHeader, 0) // has the host's CPUID in it: only Xen can make one
	if err != nil {
		return err
	}
	mtrr, err := findRecord(full, recMTRR, 0)
	if err != nil {
		return err
	}
	if len(mtrr) < mtrrDefType+8 {
		return fmt.Errorf("hvm context: MTRR record of %d bytes", len(mtrr))
	}
	mtrr = append([]byte(nil), mtrr...)
	le.PutUint64(mtrr[mtrrDefType:], mtrrWriteBack)
	for i := range pl.p.VCPUs {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := pl.h.SetHVMContext(pl.dom, hvmContext(record{recHeader, 0, head}, record{recMTRR, uint16(i), mtrr})); err != nil {
			return fmt.Errorf("vcpu %d: %w", i, err)
		}
	}
	start := uint64(pl.layout.start.pfn) << abi.PageShift
	cpu := record{recCPU, 0, bootCPU(pl.kernel.Entry, start)}
	return pl.h.SetHVMContext(pl.dom, hvmContext(record{recHeader, 0, head}, cpu))
}

func (pl *pvhPlan) rings() (store, console abi.GFN) {
	return abi.GFN(specialStore), abi.GFN(specialConsole)
}
