package build

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"goxl/domains/image"
	"goxl/xenctrl/abi"
)

const linuxBase = 0xffffffff80000000

// memoryOf gives a guest's pages machine frames in an order of its own.
func memoryOf(pages abi.Pages) func(abi.PFN) abi.MFN {
	return func(p abi.PFN) abi.MFN {
		if abi.Pages(p) >= pages {
			panic("a page that the guest does not have")
		}
		return 0x100000 + abi.MFN(p)*7
	}
}

// machine keeps a guest's page tables by machine frame, as the processor sees
// them.
type machine map[abi.MFN]*[tableEntries]uint64

func fillTables(l *pvLayout) machine {
	mfn := memoryOf(l.total)
	m := machine{}
	for _, maps := range l.tables.maps {
		for _, tb := range maps.list() {
			var page [tableEntries]uint64
			l.tables.fill(tb, mfn, func(i int, e uint64) { page[i] = e })
			m[mfn(tb.pfn)] = &page
		}
	}
	return m
}

// walk translates va as the processor does and returns the last entry.
func (m machine) walk(root abi.MFN, va uint64) (entry uint64, ok bool) {
	frame := root
	for level := levels - 1; ; level-- {
		page, ok := m[frame]
		if !ok {
			return 0, false
		}
		entry = page[va>>tableShift(level)&(tableEntries-1)]
		if entry&1 == 0 || level > 0 && entry&4095 != pteTable {
			return entry, false
		}
		if level == 0 {
			return entry, true
		}
		frame = abi.MFN(entry >> abi.PageShift & (1<<40 - 1))
	}
}

// genPV draws a kernel that is laid out like Linux, or less usually.
func genPV(t *rapid.T) *image.PV {
	pv := &image.PV{VirtBase: linuxBase}
	if rapid.IntRange(0, 3).Draw(t, "base") == 0 {
		pv.VirtBase = rapid.SampledFrom([]uint64{0, 0xc0000000, 0x7fffff000000, 0xffffffffff800000}).Draw(t, "odd base")
	}
	pv.Start = pv.VirtBase + uint64(rapid.IntRange(0, 4096).Draw(t, "start"))<<abi.PageShift
	pv.End = pv.Start + uint64(rapid.IntRange(1, 64<<20).Draw(t, "size"))
	pv.Entry = pv.Start
	pv.RamdiskByPFN = rapid.Bool().Draw(t, "ramdisk by pfn")
	if rapid.Bool().Draw(t, "own p2m") {
		v := uint64(rapid.IntRange(0, 1<<20).Draw(t, "p2m base")) << rapid.SampledFrom([]uint{12, 21, 24}).Draw(t, "shift")
		pv.InitP2M = &v
	}
	return pv
}

// TestPVLayout walks the tables of guests of many shapes, the way a processor
// would.
func TestPVLayout(t *testing.T) {
	built := 0
	rapid.Check(t, func(t *rapid.T) {
		pv := genPV(t)
		total := abi.Pages(rapid.IntRange(1000, 60000).Draw(t, "pages"))
		ramdisk := int64(rapid.IntRange(0, 64<<20).Draw(t, "ramdisk"))
		l, err := layOutPV(pv, total, total, ramdisk)
		if err != nil {
			return
		}
		built++
		checkAreas(t, l)
		checkTables(t, l)
	})
	t.Log(built, "built")
	if built == 0 {
		t.Error("no guest was built at all")
	}
}

// checkAreas makes sure that nothing overlaps and everything is in the guest.
func checkAreas(t *rapid.T, l *pvLayout) {
	owner := map[abi.PFN]string{}
	for name, a := range map[string]area{"kernel": l.kernel, "ramdisk": l.ramdisk, "p2m": l.p2m,
		"start info": {pfn: l.startInfo, pages: 1}, "store": {pfn: l.store, pages: 1}, "console": {pfn: l.console, pages: 1},
		"stack":  {pfn: l.stack, pages: 1},
		"tables": {pfn: l.tables.root(), pages: abi.Pages(l.tables.maps[0].tables)}} {
		for p := a.pfn; p < a.end(); p++ {
			if other, taken := owner[p]; taken {
				t.Fatalf("page %#x belongs to %s and %s", p, name, other)
			}
			if abi.Pages(p) >= l.total {
				t.Fatalf("page %#x of %s: the guest has %#x", p, name, l.total)
			}
			owner[p] = name
		}
	}
	if l.stack >= l.mapped || abi.Pages(l.next) > l.total {
		t.Fatalf("stack %#x, mapped %#x, next %#x, total %#x", l.stack, l.mapped, l.next, l.total)
	}
}

func checkTables(t *rapid.T, l *pvLayout) {
	m, mfn := fillTables(l), memoryOf(l.total)
	root := mfn(l.tables.root())
	check := func(va uint64, pfn abi.PFN) {
		e, ok := m.walk(root, va)
		if !ok || abi.MFN(e>>abi.PageShift) != mfn(pfn) {
			t.Fatalf("%#x leads to %#x (%v), want page %#x = frame %#x", va, e, ok, pfn, mfn(pfn))
		}
		want := uint64(pteLeaf)
		if l.tables.isTable(pfn) {
			want = pteReadOnly
		}
		if e&4095 != want {
			t.Fatalf("%#x, page %#x: flags %#x, want %#x", va, pfn, e&4095, want)
		}
	}
	for p := abi.PFN(0); p < l.mapped; p++ {
		check(l.addr(p), p)
	}
	if end := l.addr(l.mapped); end > l.base {
		if _, ok := m.walk(root, end); ok && !l.ownP2M {
			t.Fatalf("%#x, behind the mapping, is mapped", end)
		}
	}
	if !l.ownP2M {
		return
	}
	list := l.total * p2mEntry / abi.PageSize
	for p := range abi.PFN(list) {
		check(l.p2mBase+uint64(p)<<abi.PageShift, l.p2m.pfn+p)
	}
}

func TestPVTooSmall(t *testing.T) {
	pv := &image.PV{VirtBase: linuxBase, Start: linuxBase + 0x1000000, End: linuxBase + 0x3000000, Entry: linuxBase + 0x1000000}
	for _, tt := range []struct {
		name    string
		total   abi.KiB
		ramdisk int64
		want    error
	}{
		{"fits", 128 << 10, 20 << 20, nil},
		{"kernel too big", 32 << 10, 0, ErrTooSmall},
		{"no room for tables", 50 << 10, 0, ErrTooSmall},
		{"ramdisk too big", 64 << 10, 40 << 20, ErrTooSmall},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := layOutPV(pv, tt.total.Pages(), tt.total.Pages(), tt.ramdisk); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}
