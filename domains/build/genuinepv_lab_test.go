package build_test

import (
	"bytes"
	"testing"

	"goxl/domains/build"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// pvDump is a PV guest that has not run, taken apart.
type pvDump struct {
	context []byte
	info    []byte // start info
	frames  []abi.GFN
	pages   map[abi.GFN][]byte // by the guest's page number
	tables  map[abi.GFN]bool   // which of them are page tables
	lists   map[abi.GFN]bool   // which of them hold the list of pages
}

// pvReader reads a PV guest's memory by machine frame and virtual address.
type pvReader struct {
	*host
	id    abi.DomID
	root  abi.GFN
	cache map[abi.GFN][]byte
}

func (r *pvReader) frame(f abi.GFN) []byte {
	r.t.Helper()
	if b, ok := r.cache[f]; ok {
		return b
	}
	m, err := r.h.MapForeign(r.id, []abi.GFN{f}, xenctrl.ProtRead)
	if err != nil {
		r.t.Fatal(err)
	}
	_ = m.With(func(b []byte) error { r.cache[f] = bytes.Clone(b); return nil })
	if err := m.Close(); err != nil {
		r.t.Fatal(err)
	}
	return r.cache[f]
}

// walk returns the machine frame at a virtual address, noting the tables used.
func (r *pvReader) walk(va uint64, tables map[abi.GFN]bool) abi.GFN {
	r.t.Helper()
	f := r.root
	for shift := 39; shift >= 12; shift -= 9 {
		tables[f] = true
		e := le.Uint64(r.frame(f)[va>>shift&511*8:])
		if e&1 == 0 {
			r.t.Fatalf("virtual address %#x is not mapped (shift %d)", va, shift)
		}
		f = abi.GFN(e >> abi.PageShift & (1<<40 - 1))
	}
	return f
}

func (s *host) dumpPV(id abi.DomID) *pvDump {
	s.t.Helper()
	ctx, err := s.h.VCPUContext(id, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	r := &pvReader{s, id, abi.GFN(le.Uint64(ctx[4984+24:]) >> abi.PageShift), map[abi.GFN][]byte{}}
	d := &pvDump{context: ctx, pages: map[abi.GFN][]byte{}, tables: map[abi.GFN]bool{}, lists: map[abi.GFN]bool{}}
	tables := map[abi.GFN]bool{}
	d.info = r.frame(r.walk(le.Uint64(ctx[624:]), tables))
	n, list := le.Uint64(d.info[32:]), le.Uint64(d.info[104:])
	lists := map[abi.GFN]bool{}
	for i := range n {
		f := r.walk(list+i*8, tables)
		lists[f] = true
		d.frames = append(d.frames, abi.GFN(le.Uint64(r.frame(f)[i*8%abi.PageSize:])))
	}
	for first := 0; first < len(d.frames); first += 1024 {
		batch := d.frames[first:min(first+1024, len(d.frames))]
		m, err := s.h.MapForeign(id, batch, xenctrl.ProtRead)
		if err != nil {
			s.t.Fatal(err)
		}
		_ = m.With(func(b []byte) error {
			for i := range batch {
				d.pages[abi.GFN(first+i)] = bytes.Clone(b[i<<abi.PageShift:][:abi.PageSize])
			}
			return nil
		})
		if err := m.Close(); err != nil {
			s.t.Fatal(err)
		}
	}
	d.translate(r, tables, lists)
	return d
}

// translate turns machine frames into the guest's page numbers wherever the
// guest was told some, so that two guests can be compared.
func (d *pvDump) translate(r *pvReader, tables, lists map[abi.GFN]bool) {
	pageOf := map[abi.GFN]uint64{}
	for p, f := range d.frames {
		pageOf[f] = uint64(p)
		d.lists[abi.GFN(p)] = lists[f]
	}
	base := le.Uint64(d.info[88:]) - pageOf[r.root]<<abi.PageShift // pt_base is the root's address
	for p := range d.frames {                                      // every table of the first mapping
		if va := base + uint64(p)<<abi.PageShift; p < int(pageOf[r.root])+1024 {
			func() {
				f := r.root
				for shift := 39; shift >= 12; shift -= 9 {
					tables[f] = true
					e := le.Uint64(r.frame(f)[va>>shift&511*8:])
					if e&1 == 0 {
						return
					}
					f = abi.GFN(e >> abi.PageShift & (1<<40 - 1))
				}
			}()
		}
	}
	for f := range tables {
		p := abi.GFN(pageOf[f])
		d.tables[p] = true
		page := d.pages[p]
		for i := 0; i < len(page); i += 8 {
			e := le.Uint64(page[i:])
			mine, ok := pageOf[abi.GFN(e>>abi.PageShift&(1<<40-1))]
			switch {
			case e&1 == 0:
			case ok: // accessed and dirty bits come and go
				le.PutUint64(page[i:], mine<<abi.PageShift|e&0xf9f)
			default: // Xen's own entries
				le.PutUint64(page[i:], 0)
			}
		}
	}
	start := d.pages[abi.GFN(pageOf[r.walk(le.Uint64(d.context[624:]), map[abi.GFN]bool{})])]
	for _, off := range []int{56, 72} { // the rings
		le.PutUint64(start[off:], pageOf[abi.GFN(le.Uint64(start[off:]))])
	}
	le.PutUint64(start[40:], 0) // shared info: not one of the guest's pages
	le.PutUint64(d.context[4984+24:], pageOf[r.root])
}

// TestLabSamePV compares a PV guest of ours with one that the genuine xl made of
// the same parts, before either has run.
func TestLabSamePV(t *testing.T) {
	s := openHost(t)
	p := linux(t, build.PV, 128<<10, 3)
	theirs := s.genuine(p, "")
	ours := s.create(build.PV, 3)
	s.build(ours, p)
	s.sameDomain(ours, theirs)
	a, b := s.dumpPV(ours), s.dumpPV(theirs)
	if !bytes.Equal(a.context, b.context) {
		t.Errorf("vcpu context differs %s", firstDiff(a.context, b.context))
	}
	if len(a.frames) != len(b.frames) || len(a.tables) != len(b.tables) {
		t.Errorf("%d pages, %d page tables; genuine %d and %d", len(a.frames), len(a.tables), len(b.frames), len(b.tables))
	}
	t.Logf("%d pages, %d page tables", len(a.frames), len(a.tables))
	reasons := map[abi.GFN]string{}
	for p, is := range a.lists {
		if is {
			reasons[p] = "the list of machine frames"
		}
	}
	reasons[abi.GFN(storePage(a))] = "xenstored has marked its ring as connected"
	s.sameExcept(a.pages, b.pages, reasons)
}

// storePage is the page of the xenstore ring, from a start info that was
// translated.
func storePage(d *pvDump) uint64 {
	for _, page := range d.pages {
		if bytes.HasPrefix(page, []byte("xen-3.0-x86_64")) {
			return le.Uint64(page[56:])
		}
	}
	return 0
}
