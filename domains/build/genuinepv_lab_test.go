package build_test

import (
	"bytes"
	"testing"

	"goxl/domains/build"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// pvGuest is a PV guest that has not run, taken apart.
type pvGuest struct {
	*host
	id      abi.DomID
	context []byte
	root    abi.GFN
	info    []byte          // start info
	frames  []abi.GFN       // the machine frame of every page
	pageOf  map[abi.GFN]int // and back
	lists   map[int]bool    // pages that hold the list of frames
	start   int             // the page of the start info
	tables  map[int][]byte  // page tables, frames in them turned to pages
	read    map[abi.GFN][]byte
}

func (g *pvGuest) frame(f abi.GFN) []byte {
	g.t.Helper()
	if b, ok := g.read[f]; ok {
		return b
	}
	m, err := g.h.MapForeign(g.id, []abi.GFN{f}, xenctrl.ProtRead)
	if err != nil {
		g.t.Fatal(err)
	}
	_ = m.With(func(b []byte) error { g.read[f] = bytes.Clone(b); return nil })
	if err := m.Close(); err != nil {
		g.t.Fatal(err)
	}
	return g.read[f]
}

const (
	entryPresent = 1
	entryFlags   = 0xf9f // accessed and dirty bits come and go
)

func target(e uint64) abi.GFN { return abi.GFN(e >> abi.PageShift & (1<<40 - 1)) }

// walk returns the machine frame at a virtual address.
func (g *pvGuest) walk(va uint64) abi.GFN {
	g.t.Helper()
	f := g.root
	for shift := 39; shift >= 12; shift -= 9 {
		e := le.Uint64(g.frame(f)[va>>shift&511*8:])
		if e&entryPresent == 0 {
			g.t.Fatalf("virtual address %#x is not mapped (shift %d)", va, shift)
		}
		f = target(e)
	}
	return f
}

func (s *host) takeApart(id abi.DomID) *pvGuest {
	s.t.Helper()
	ctx, err := s.h.VCPUContext(id, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	g := &pvGuest{host: s, id: id, context: ctx, root: target(le.Uint64(ctx[4984+24:])),
		pageOf: map[abi.GFN]int{}, lists: map[int]bool{}, tables: map[int][]byte{}, read: map[abi.GFN][]byte{}}
	startFrame := g.walk(le.Uint64(ctx[624:])) // rsi
	g.info = bytes.Clone(g.frame(startFrame))
	n, list := int(le.Uint64(g.info[32:])), le.Uint64(g.info[104:])
	var lists []abi.GFN
	for i := 0; i < n; i += 512 {
		f := g.walk(list + uint64(i)*8)
		lists = append(lists, f)
		for j := range min(512, n-i) {
			g.frames = append(g.frames, abi.GFN(le.Uint64(g.frame(f)[j*8:])))
		}
	}
	for p, f := range g.frames {
		g.pageOf[f] = p
	}
	for _, f := range lists {
		g.lists[g.pageOf[f]] = true
	}
	g.start = g.pageOf[startFrame]
	g.translate(g.root, 4)
	for _, off := range []int{56, 72} { // the rings
		le.PutUint64(g.info[off:], uint64(g.pageOf[abi.GFN(le.Uint64(g.info[off:]))]))
	}
	clear(g.info[40:48]) // shared info is not one of the guest's pages
	le.PutUint64(g.context[4984+24:], uint64(g.pageOf[g.root]))
	return g
}

// translate notes a page table, and those below it, with the guest's page
// numbers for machine frames and without Xen's own entries.
func (g *pvGuest) translate(f abi.GFN, level int) {
	p, ok := g.pageOf[f]
	if _, seen := g.tables[p]; !ok || seen {
		return
	}
	table := bytes.Clone(g.frame(f))
	g.tables[p] = table
	for i := 0; i < len(table); i += 8 {
		e := le.Uint64(table[i:])
		page, ok := g.pageOf[target(e)]
		switch {
		case e&entryPresent == 0:
		case !ok:
			clear(table[i : i+8])
		default:
			if level > 1 {
				g.translate(target(e), level-1)
			}
			le.PutUint64(table[i:], uint64(page)<<abi.PageShift|e&entryFlags)
		}
	}
}

// TestLabSamePV compares a PV guest of ours with one that the genuine xl made of
// the same parts, before either has run.
func TestLabSamePV(t *testing.T) {
	s := openHost(t)
	p := linux(t, build.PV, 96<<10, 3)
	theirs := s.genuine(p, "")
	ours := s.create(build.PV, 3)
	s.build(ours, p)
	s.sameDomain(ours, theirs)
	a, b := s.takeApart(ours), s.takeApart(theirs)
	if !bytes.Equal(a.context, b.context) {
		t.Errorf("vcpu context differs %s", firstDiff(a.context, b.context))
	}
	if !bytes.Equal(a.info, b.info) {
		t.Errorf("start info differs %s", firstDiff(a.info, b.info))
	}
	if len(a.frames) != len(b.frames) || len(a.tables) != len(b.tables) {
		t.Fatalf("%d pages, %d page tables; genuine %d and %d", len(a.frames), len(a.tables), len(b.frames), len(b.tables))
	}
	reasons := map[int]string{a.start: "start info, compared without machine frames"}
	for page := range a.lists {
		reasons[page] = "list of machine frames"
	}
	for page, table := range a.tables {
		reasons[page] = "page table, compared without machine frames"
		if !bytes.Equal(table, b.tables[page]) {
			t.Errorf("page table %#x differs %s", page, firstDiff(table, b.tables[page]))
		}
	}
	reasons[int(le.Uint64(a.info[56:]))] = "xenstored has marked its ring as connected"
	(&twoGuests{s, ours, theirs}).compare("page", a.frames, b.frames, reasons)
}
