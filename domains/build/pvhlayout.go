package build

import (
	"fmt"

	"goxl/domains/build/acpi"
	"goxl/domains/image"
	"goxl/xenctrl/abi"
)

// Where the special pages of a guest in a HVM container are, and what each is
// for. Source: xenguest.h X86_HVM_END_SPECIAL_REGION, xg_dom_x86.c.
const (
	specialPages = 8
	specialFirst = abi.PFN(0xff000 - specialPages)

	specialPaging   = specialFirst + 0
	specialMonitor  = specialFirst + 1
	specialSharing  = specialFirst + 2
	specialBufIOReq = specialFirst + 3
	specialStore    = specialFirst + 4
	specialIOReq    = specialFirst + 5
	specialIdentPT  = specialFirst + 6
	specialConsole  = specialFirst + 7

	// pvhHole is where low memory ends at the latest: the ACPI tables, the
	// special pages and the local APIC lie between here and 4 GiB.
	pvhHole  = uint64(acpi.InfoAddr)
	fourGiB  = uint64(1) << 32
	gibPages = abi.PFN(1 << 18)
)

// pvhLayout says where everything of a PVH guest lies, by guest-physical page.
type pvhLayout struct {
	lowEnd  uint64 // RAM is [0, lowEnd)
	highEnd uint64 // and [4 GiB, highEnd), if that is not 0
	kernel  area
	modules []area
	start   area // the start info with all its tables
}

// splitMemory places size bytes of RAM around the hole below 4 GiB.
func splitMemory(size uint64) (lowEnd, highEnd uint64) {
	if size <= pvhHole {
		return size, 0
	}
	return pvhHole, fourGiB + (size - pvhHole)
}

// layOutPVH places a guest with mem of RAM. What comes into low memory follows
// the kernel: the modules, and before or behind them the start info with room
// for startSize bytes.
func layOutPVH(k *image.PVH, mem abi.Pages, modules []Module, startSize uint64) (*pvhLayout, error) {
	l := &pvhLayout{}
	l.lowEnd, l.highEnd = splitMemory(uint64(mem) << abi.PageShift)
	l.kernel = area{pfn: abi.PFN(k.Start >> abi.PageShift), size: k.End - k.Start&^(abi.PageSize-1)}
	l.kernel.pages = pagesOf(l.kernel.size)
	next := l.kernel.end()
	take := func(size uint64) area {
		a := area{next, pagesOf(size), size}
		next = a.end()
		return a
	}
	if k.RamdiskLast {
		l.start = take(startSize)
	}
	for _, m := range modules {
		l.modules = append(l.modules, take(uint64(m.Size)))
	}
	if !k.RamdiskLast {
		l.start = take(startSize)
	}
	if end := uint64(next) << abi.PageShift; end > l.lowEnd {
		return nil, fmt.Errorf("%w: kernel, ramdisk and start info reach up to %d KiB, the guest has %d KiB below 4 GiB (raise memory=)",
			ErrTooSmall, end>>10, l.lowEnd>>10)
	}
	return l, nil
}

func pagesOf(size uint64) abi.Pages { return abi.Pages((size + abi.PageSize - 1) / abi.PageSize) }

// memoryMap is what the guest is told of its memory. Firmware tables are told
// as NVS, which no kernel reuses: their code goes on reading them. Before 4.21
// Xen's tools said ACPI, which a kernel may reuse.
// Source: libxl_x86.c, domain_construct_memmap.
func (l *pvhLayout) memoryMap(tables *acpi.Tables) []abi.E820Entry {
	m := []abi.E820Entry{
		{Addr: 0, Size: l.lowEnd, Type: abi.E820RAM},
		{Addr: uint64(specialFirst) << abi.PageShift, Size: specialPages << abi.PageShift, Type: abi.E820Reserved},
	}
	for _, t := range tables.Modules {
		page := t.Addr &^ (abi.PageSize - 1)
		m = append(m, abi.E820Entry{Addr: page, Size: t.Addr - page + uint64(len(t.Data)), Type: abi.E820NVS})
	}
	if l.highEnd > fourGiB {
		m = append(m, abi.E820Entry{Addr: fourGiB, Size: l.highEnd - fourGiB, Type: abi.E820RAM})
	}
	return m
}
