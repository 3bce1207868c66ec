package migrate

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"

	"goxl/migrate/stream"
	"goxl/xenctrl/abi"
)

// Where a kernel tells where its table is, in the shared info.
const (
	sharedP2MCR3   = 3112
	sharedP2MVAddr = 3120
	sharedP2MGen   = 3128
)

// bootOptions say what a fake kernel does when it comes up.
type bootOptions struct {
	tree bool // keep the table of pages in the tree of three levels, as kernels before 4.1
}

// fill is what a page has in it: something of its own.
func fill(p uint64, generation byte) []byte {
	b := make([]byte, abi.PageSize)
	rand.NewChaCha8([32]byte{byte(p), byte(p >> 8), byte(p >> 16), byte(p >> 24), generation}).Read(b)
	return b
}

// bootPVH fills the guest's memory, but for what the toolstack put there, and
// leaves a hole in it.
func (w *world) bootPVH(id abi.DomID) {
	w.Helper()
	for p := uint64(700); p < 2048; p++ {
		w.xen.WriteGuest(id, p<<abi.PageShift, fill(p, 0))
	}
	w.balloon(id, 1500)
	w.must(w.xenc().SetHVMParam(id, abi.ParamCallbackIRQ, 2<<56|0xf3))
	w.must(w.xenc().SetTSCInfo(id, abi.TSCInfo{Mode: 0, KHz: 2000000, ElapsedNS: 12345, Incarnation: 3}))
}

// balloon has the guest give a page of it back to Xen.
func (w *world) balloon(id abi.DomID, frame abi.GFN) {
	w.Helper()
	if n, err := w.xenc().DecreaseReservation(w.Context(), id, []abi.GFN{frame}, 0); n != 1 || err != nil {
		w.Fatalf("balloon: %d, %v", n, err)
	}
}

// pvView is a PV guest as it sees itself: by its start info, not by what migrate
// makes of it.
type pvView struct {
	w     *world
	id    abi.DomID
	cr3   uint64
	start uint64 // machine frames
	list  uint64 // the address of its table of pages
	p2m   []uint64
	pfn   map[uint64]uint64
}

// address looks an address up in the guest's page tables.
func (v *pvView) address(a uint64) uint64 {
	f := v.cr3 >> abi.PageShift
	for level := 3; level >= 0; level-- {
		t := v.w.xen.ReadGuest(v.id, f<<abi.PageShift, abi.PageSize)
		e := le.Uint64(t[a>>(12+9*level)%512*8:])
		if e&1 == 0 {
			v.w.Fatalf("address %#x is not mapped on level %d", a, level+1)
		}
		f = e & pteFrame >> abi.PageShift
	}
	return f
}

// viewPV reads the table of a guest whose start info is at a machine frame.
func (w *world) viewPV(id abi.DomID, cr3, start uint64) *pvView {
	v := &pvView{w: w, id: id, cr3: cr3, start: start, pfn: map[uint64]uint64{}}
	info := w.xen.ReadGuest(id, start<<abi.PageShift, abi.PageSize)
	n := le.Uint64(info[startPages:])
	v.list = le.Uint64(info[104:])
	for at := uint64(0); at < n*8; at += abi.PageSize {
		leaf := w.xen.ReadGuest(id, v.address(v.list+at)<<abi.PageShift, abi.PageSize)
		for ; len(leaf) > 0 && uint64(len(v.p2m)) < n; leaf = leaf[8:] {
			m := le.Uint64(leaf)
			if m != noEntry {
				v.pfn[m] = uint64(len(v.p2m))
			}
			v.p2m = append(v.p2m, m)
		}
	}
	return v
}

// view is viewPV of a guest that is suspended or has booted.
func (w *world) view(id abi.DomID) *pvView {
	w.Helper()
	d, _ := w.xen.Domain(id)
	c := d.Contexts[0]
	return w.viewPV(id, le.Uint64(c[ctxCR3:]), le.Uint64(c[ctxRDX:]))
}

// Pages of a PV guest that its fake kernel uses.
const (
	pvGDT     = 2000
	pvUser    = 2001 // the root of a second set of page tables
	pvPinned  = 2002 // a page table of level 1 that is pinned and used nowhere
	pvTop     = 2003 // the tree of the table of pages
	pvMiddle  = 2004
	pvHole    = 1900 // ballooned out
	pvRelaxed = 1700 // from here to 1899 nothing is mapped
)

// bootPV does what a kernel does on its way up: it tells where its table of pages
// is, has a GDT, page tables for user mode, and pinned tables.
func (w *world) bootPV(id abi.DomID, o bootOptions) {
	w.Helper()
	xen := w.xenc()
	d, _ := w.xen.Domain(id)
	c := d.Contexts[0]
	boot := &pvView{w: w, id: id, cr3: le.Uint64(c[ctxCR3:])}
	v := w.viewPV(id, boot.cr3, boot.address(le.Uint64(c[624:])))
	write := func(p uint64, b []byte) {
		if !w.xen.WriteGuest(id, v.p2m[p]<<abi.PageShift, b) {
			w.Fatalf("page %#x cannot be written", p)
		}
	}
	for p := uint64(1500); p < uint64(len(v.p2m)); p++ {
		write(p, fill(p, 0))
	}
	write(pvPinned, table(map[int]uint64{0: v.p2m[pvRelaxed]<<12 | 7, 5: v.p2m[pvRelaxed+1]<<12 | 1, 9: 0xdead0, 511: v.p2m[pvGDT]<<12 | 1<<63 | 5}))
	w.must(xen.PinTable(id, 1, abi.MFN(v.p2m[pvPinned])))
	write(pvUser, table(map[int]uint64{3: 0x1000, xenFirst: 0x7f000 | 1, xenLast: 0x7f000 | 1})) // Xen's slots are Xen's business
	w.tellP2M(v, o, write)
	// A kernel that suspends leaves page numbers in place of its rings' frames.
	info := w.xen.ReadGuest(id, v.start<<abi.PageShift, abi.PageSize)
	store, console := v.pfn[le.Uint64(info[startStore:])], v.pfn[le.Uint64(info[startConsole:])]
	before := func() {
		w.xen.WriteGuest(id, v.start<<abi.PageShift+startStore, le.AppendUint64(nil, store))
		w.xen.WriteGuest(id, v.start<<abi.PageShift+startConsole, le.AppendUint64(nil, console))
	}
	w.before.Store(&before)
	w.must(xen.SetTSCInfo(id, abi.TSCInfo{Mode: 2, KHz: 2000000, ElapsedNS: 12345, Incarnation: 3}))

	le.PutUint64(c[ctxRDX:], v.start)
	le.PutUint64(c[ctxGDTEnts:], 500)
	le.PutUint64(c[ctxGDT:], v.p2m[pvGDT])
	le.PutUint64(c[ctxCR1:], v.p2m[pvUser]<<abi.PageShift)
	for vcpu := range uint32(2) {
		le.PutUint64(c[520+8*13:], uint64(vcpu)+77)
		w.must(xen.SetVCPUContext(id, vcpu, c))
		ext := make([]byte, 64)
		le.PutUint32(ext, vcpu)
		le.PutUint32(ext[4:], 64)
		le.PutUint64(ext[8:], 0xffffffff81000000+uint64(vcpu))
		w.must(xen.SetExtVCPUContext(id, ext))
		area := fill(uint64(vcpu), 9)[:16+576]
		le.PutUint64(area, 3)
		le.PutUint64(area[8:], 3)
		w.must(xen.SetVCPUExtState(id, vcpu, 3, area))
		w.must(xen.SetVCPUMSRs(id, vcpu, []abi.VCPUMSR{{Index: 0xc0000103, Value: uint64(vcpu)}, {Index: 0x140, Value: 1}}))
		le.PutUint64(c[ctxRDX:], 0x1234) // of vcpu 1 it means nothing
	}
}

// tellP2M writes into the shared info where the guest's table is, and punches a
// hole into it.
func (w *world) tellP2M(v *pvView, o bootOptions, write func(uint64, []byte)) {
	w.Helper()
	d, _ := w.xen.Domain(v.id)
	shared := func(off int, n uint64) {
		if !w.xen.WriteGuest(v.id, uint64(d.SharedInfo)<<abi.PageShift+uint64(off), le.AppendUint64(nil, n)) {
			w.Fatal("shared info cannot be written")
		}
	}
	shared(sharedMaxPFN, uint64(len(v.p2m)))
	shared(sharedPending, 0xff)
	shared(8*5, 0x77) // in the first vcpu_info: cr2
	if o.tree {
		leaves := map[int]uint64{}
		for i := 0; i*perPage < len(v.p2m); i++ {
			leaves[i] = v.address(v.list + uint64(i)*abi.PageSize)
		}
		write(pvMiddle, table(leaves))
		write(pvTop, table(map[int]uint64{0: v.p2m[pvMiddle]}))
		shared(sharedFrameList, v.p2m[pvTop])
	} else {
		shared(sharedP2MCR3, v.cr3)
		shared(sharedP2MVAddr, v.list)
		shared(sharedP2MGen, 2)
	}
	v.unmap(pvHole)
}

// unmap has the guest give a page back that nothing refers to.
func (v *pvView) unmap(p uint64) {
	v.w.Helper()
	leaf := v.address(v.list + p*8&^(abi.PageSize-1))
	if !v.w.xen.WriteGuest(v.id, leaf<<abi.PageShift+p*8%abi.PageSize, le.AppendUint64(nil, noEntry)) {
		v.w.Fatal("the table cannot be written")
	}
	v.w.balloon(v.id, abi.GFN(v.p2m[p]))
	v.p2m[p] = noEntry
}

// table is a page of words.
func table(words map[int]uint64) []byte {
	b := make([]byte, abi.PageSize)
	for i, v := range words {
		le.PutUint64(b[8*i:], v)
	}
	return b
}

// dump is all of a guest that must be the same after a move, in words that mean
// the same on each machine: where it is, and what is there.
type dump map[string]string

// dumpPages compares big contents by what differs.
func (d dump) put(name string, b []byte) { d[name] = string(b) }

// dump reads a guest. Moved has it read strictly what a move has to reset.
func (w *world) dump(id abi.DomID, moved bool) dump {
	w.Helper()
	out := dump{}
	tsc, err := w.xenc().TSCInfo(id)
	w.must(err)
	out["TSC"] = fmt.Sprint(tsc)
	info, _ := w.xen.Domain(id)
	out["policy"] = fmt.Sprint(info.Policy)
	out["pages"] = fmt.Sprint(info.Pages)
	if info.HVM {
		w.dumpPVH(id, moved, out)
	} else {
		w.dumpPV(id, moved, out)
	}
	return out
}

func (w *world) dumpPVH(id abi.DomID, moved bool, out dump) {
	rings := map[uint64]bool{}
	d, _ := w.xen.Domain(id)
	for _, i := range movedParams {
		if v := d.Params[uint32(i)]; v != 0 {
			out[fmt.Sprintf("parameter %d", i)] = fmt.Sprint(v)
		}
	}
	for _, i := range []uint32{abi.ParamStorePFN, abi.ParamConsolePFN, abi.ParamIOReqPFN, abi.ParamBufIOReqPFN} {
		rings[d.Params[i]] = true
	}
	top, err := w.xenc().MaximumGPFN(id)
	w.must(err)
	for p := uint64(0); p <= uint64(top); p++ {
		if p == 4096 {
			p = uint64(top) - 8192
		}
		b := w.xen.ReadGuest(id, p<<abi.PageShift, abi.PageSize)
		if b == nil {
			continue
		}
		if rings[p] && !moved {
			clear(b)
		}
		out.put(fmt.Sprintf("page %#x", p), b)
	}
	ctx, err := w.xenc().HVMContext(id)
	w.must(err)
	out.put("context", ctx)
}

func (w *world) dumpPV(id abi.DomID, moved bool, out dump) {
	v := w.view(id)
	leaves := map[uint64]bool{}
	for at := 0; at < len(v.p2m)*8; at += abi.PageSize {
		leaves[v.address(v.list+uint64(at))] = true
	}
	d, _ := w.xen.Domain(id)
	for p, m := range v.p2m {
		name := fmt.Sprintf("page %#x", p)
		if m == noEntry {
			out[name] = "not there"
			continue
		}
		word := []uint64{m}
		w.must(w.xenc().PageTypes(id, word))
		t := stream.PageType(word[0] >> 28)
		b := w.xen.ReadGuest(id, m<<abi.PageShift, abi.PageSize)
		switch {
		case leaves[m]: // it shows in where the other pages are
			b = nil
		case m == v.start:
			clear(b[startShared : startConsolePort+4])
		case t.Level() > 0:
			v.translate(t.Level(), b, moved)
		}
		out.put(name, append([]byte(t.String()), b...))
	}
	shared := w.xen.ReadGuest(id, uint64(d.SharedInfo)<<abi.PageShift, abi.PageSize)
	if !moved {
		clear(shared[sharedPending:sharedMask])
		for i := range 512 {
			shared[sharedMask+i] = 0xff
		}
		le.PutUint64(shared[sharedFrameList:], 0)
	}
	out.put("shared info", shared)
	for i := range d.Contexts {
		w.dumpVCPU(v, uint32(i), out)
	}
}

// translate replaces the machine frames in a page table. In Xen's slots nothing
// of the guest's may arrive.
func (v *pvView) translate(level int, b []byte, moved bool) {
	for i := range perPage {
		e := le.Uint64(b[8*i:])
		switch {
		case level == 4 && i >= xenFirst && i <= xenLast && !moved:
			e = 0
		case e&1 != 0:
			p, ok := v.pfn[e&pteFrame>>12]
			if !ok {
				v.w.Errorf("entry %d of a level %d table: frame %#x is none of the guest's", i, level, e&pteFrame>>12)
			}
			e = e&^pteFrame | p<<12
		}
		le.PutUint64(b[8*i:], e)
	}
}

func (w *world) dumpVCPU(v *pvView, i uint32, out dump) {
	w.Helper()
	name := fmt.Sprintf("vcpu %d: ", i)
	c, err := w.xenc().VCPUContext(v.id, i)
	w.must(err)
	c = bytes.Clone(c)
	put := func(at int, shift uint) {
		p, ok := v.pfn[le.Uint64(c[at:])>>shift]
		if !ok {
			w.Errorf("%sframe %#x in its registers is none of the guest's", name, le.Uint64(c[at:])>>shift)
		}
		le.PutUint64(c[at:], p)
	}
	if i == 0 {
		put(ctxRDX, 0)
	}
	put(ctxGDT, 0)
	put(ctxCR1, 12)
	put(ctxCR3, 12)
	out.put(name+"registers", c)
	ext, err := w.xenc().ExtVCPUContext(v.id, i)
	w.must(err)
	out.put(name+"extended", ext)
	_, area, err := w.xenc().VCPUExtState(v.id, i)
	w.must(err)
	out.put(name+"XSAVE", area)
	msrs, err := w.xenc().VCPUMSRs(v.id, i)
	w.must(err)
	out[name+"MSRs"] = fmt.Sprint(msrs)
}

// same fails the test where two dumps differ.
func (w *world) same(want, got dump) {
	w.Helper()
	var bad []string
	for name, v := range want {
		if got[name] != v {
			bad = append(bad, name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			bad = append(bad, name+" (too much)")
		}
	}
	if slices.Sort(bad); len(bad) > 0 {
		w.Errorf("%d of %d things differ: %.20q", len(bad), len(want), bad)
		n := bad[0]
		for i := range min(len(want[n]), len(got[n])) {
			if want[n][i] != got[n][i] {
				w.Logf("%s at %d:\nwant %x\ngot  %x", n, i, want[n][i:min(i+16, len(want[n]))], got[n][i:min(i+16, len(got[n]))])
				break
			}
		}
	}
}
