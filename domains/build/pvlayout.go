package build

import (
	"fmt"

	"goxl/domains/image"
	"goxl/xenctrl/abi"
)

// area is a run of the guest's pages.
type area struct {
	pfn   abi.PFN
	pages abi.Pages
	size  uint64 // bytes in use
}

func (a area) end() abi.PFN { return a.pfn + abi.PFN(a.pages) }

// pvLayout says where everything of a PV guest lies. Page p has the virtual
// address base + p*4096 as far as mapped goes. The order of things is that of
// Xen's tools, xc_dom_build_image: guests count on some of it.
type pvLayout struct {
	base      uint64
	total     abi.Pages // of the guest
	kernel    area      // from page 0 on: what lies below the kernel belongs to it
	ramdisk   area
	p2m       area // the list, and with p2mBase its own page tables
	p2mBase   uint64
	ownP2M    bool // p2mBase is used
	startInfo abi.PFN
	store     abi.PFN
	console   abi.PFN
	tables    pageTables
	stack     abi.PFN
	mapped    abi.PFN // the first page that is not mapped

	next abi.PFN // the first page not in use
}

// Sizes of what Xen's tools add to a PV guest's first mapping.
const (
	pvPadding = 128     // pages, 512 KiB
	pvRound   = 4 << 20 // the mapping ends at a multiple of this
	p2mEntry  = 8
)

// layOutPV places a guest of total pages, listed in a p2m of p2mSize entries
// (more than total when there are holes).
func layOutPV(pv *image.PV, total, p2mSize abi.Pages, ramdisk int64) (*pvLayout, error) {
	l := &pvLayout{base: pv.VirtBase, total: total}
	var err error
	take := func(what string, size uint64) (a area) {
		if err == nil {
			a, err = l.take(what, size)
		}
		return a
	}
	l.kernel = take("kernel", pv.End-pv.VirtBase)
	if ramdisk > 0 && !pv.RamdiskByPFN {
		l.ramdisk = take("ramdisk", uint64(ramdisk))
	}
	l.ownP2M = pv.InitP2M != nil && *pv.InitP2M < pv.VirtBase && *pv.InitP2M&(abi.PageSize-1) == 0
	p2mBytes := uint64(p2mSize) * p2mEntry
	if !l.ownP2M {
		l.p2m = take("list of pages", p2mBytes)
		l.p2mBase = l.addr(l.p2m.pfn)
	}
	l.startInfo = take("start info", abi.PageSize).pfn
	l.store = take("xenstore ring", abi.PageSize).pfn
	l.console = take("console ring", abi.PageSize).pfn
	if err == nil {
		err = l.takeTables(p2mSize)
	}
	l.stack = take("boot stack", abi.PageSize).pfn
	if err != nil {
		return nil, err
	}
	l.next = l.mapped
	if ramdisk > 0 && pv.RamdiskByPFN {
		l.ramdisk = take("ramdisk", uint64(ramdisk))
	}
	if err == nil && l.ownP2M {
		l.p2mBase = *pv.InitP2M
		err = l.takeP2M(p2mBytes)
	}
	return l, err
}

// addr is the virtual address of a page of the first mapping.
func (l *pvLayout) addr(p abi.PFN) uint64 { return l.base + uint64(p)<<abi.PageShift }

// take gives the next pages to size bytes.
func (l *pvLayout) take(what string, size uint64) (area, error) {
	pages := abi.Pages((size + abi.PageSize - 1) / abi.PageSize)
	if size > uint64(l.total)<<abi.PageShift || abi.Pages(l.next)+pages > l.total {
		return area{}, l.tooSmall(what, pages)
	}
	a := area{l.next, pages, size}
	l.next += abi.PFN(pages)
	return a, nil
}

func (l *pvLayout) tooSmall(what string, pages abi.Pages) error {
	return fmt.Errorf("%w: no room for the %s: %d KiB more are needed, the guest has %d and uses %d (raise memory=)",
		ErrTooSmall, what, pages.KiB(), l.total.KiB(), abi.Pages(l.next).KiB())
}

// takeTables sizes the first mapping. It maps its own tables too, so their
// number and the end of the mapping are found in turns.
func (l *pvLayout) takeTables(p2mSize abi.Pages) error {
	end := l.addr(l.next)
	extra := uint64(pvPadding + 1) // and the boot stack
	for pages := extra; ; {
		last := (end + pages*abi.PageSize) | (pvRound - 1)
		if n := abi.Pages((last - l.base) >> abi.PageShift); n >= p2mSize || n >= l.total {
			return l.tooSmall("first page tables", abi.Pages(pages))
		}
		m, err := l.tables.plan(l.base, last, 0, l.next)
		if err != nil {
			return fmt.Errorf("map the kernel: %w", err)
		}
		pages = m.tables + extra
		if end+pages*abi.PageSize-1 <= last {
			l.tables.add(m)
			l.mapped = abi.PFN((last + 1 - l.base) >> abi.PageShift)
			_, err = l.take("page tables", m.tables*abi.PageSize)
			return err
		}
	}
}

// takeP2M places the list outside the first mapping, with tables of its own
// behind it.
func (l *pvLayout) takeP2M(size uint64) error {
	pages := (size + abi.PageSize - 1) / abi.PageSize
	m, err := l.tables.plan(l.p2mBase, l.p2mBase+pages*abi.PageSize-1, l.next, l.next+abi.PFN(pages))
	if err != nil {
		return fmt.Errorf("map the list of pages: %w", err)
	}
	l.tables.add(m)
	l.p2m, err = l.take("list of pages", (pages+m.tables)*abi.PageSize)
	return err
}
