package migrate

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"goxl/domains/config"
	"goxl/xenctrl/abi"
)

// What a guest may say of itself that is not so. It is not saved, and runs on.
func TestSaveHostilePV(t *testing.T) {
	type hostile struct {
		*pvView
		shared func(off int, n uint64)
		regs   func(off int, n uint64) // of vcpu 0
		dom0   uint64                  // a frame of somebody else
	}
	for _, tt := range []struct {
		name string
		tree bool
		does func(h hostile)
		want string
	}{
		{"no table", false, func(h hostile) { h.shared(sharedMaxPFN, 0) }, "0x0 entries"},
		{"a table without end", false, func(h hostile) { h.shared(sharedMaxPFN, 1<<63) }, "0x8000000000000000 entries"},
		{"a table larger than the guest", false, func(h hostile) { h.shared(sharedMaxPFN, 2100*perPage) }, "the guest has"},
		{"page tables of somebody else", false, func(h hostile) { h.shared(sharedP2MCR3, h.dom0<<12) }, "page tables: map memory"},
		{"page tables beyond memory", false, func(h hostile) { h.shared(sharedP2MCR3, 1<<51) }, "page tables: map memory"},
		{"an address inside of a page", false, func(h hostile) { h.shared(sharedP2MVAddr, h.list+8) }, "where none can be"},
		{"an address that is not mapped", false, func(h hostile) { h.shared(sharedP2MVAddr, 0x1000) }, "do not map address 0x1000"},
		{"the last address", false, func(h hostile) { h.shared(sharedP2MVAddr, 1<<64-1<<12) }, "where none can be"},
		{"a table on the move", false, func(h hostile) { h.shared(sharedP2MGen, 3) }, "is moving its table"},
		{"no tree", true, func(h hostile) { h.shared(sharedFrameList, 0) }, "has not told yet"},
		{"a tree of somebody else", true, func(h hostile) { h.shared(sharedFrameList, h.dom0) }, "map memory"},
		{"a branch of somebody else", true, func(h hostile) {
			h.w.xen.WriteGuest(h.id, h.p2m[pvTop]<<12, le.AppendUint64(nil, h.dom0))
		}, "map memory"},
		{"leaves that are no leaves", true, func(h hostile) {
			h.w.xen.WriteGuest(h.id, h.p2m[pvMiddle]<<12, le.AppendUint64(nil, h.p2m[pvGDT]))
		}, "which is none of its pages"},
		{"a start info of somebody else", false, func(h hostile) { h.regs(ctxRDX, h.dom0) }, "the start info is frame"},
		{"a start info beyond memory", false, func(h hostile) { h.regs(ctxRDX, 1<<63) }, "the start info is frame"},
		{"a GDT in Xen's part", false, func(h hostile) {
			for i := range 16 {
				h.regs(ctxGDT+8*i, h.p2m[pvGDT])
			}
			h.regs(ctxGDTEnts, 8000)
		}, "a GDT of 8000 entries"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			id := w.boot(config.TypePV, bootOptions{tree: tt.tree})
			d, _ := w.xen.Domain(id)
			c := d.Contexts[0]
			zero, _ := w.xen.Domain(0)
			h := hostile{w.view(id),
				func(off int, n uint64) {
					w.xen.WriteGuest(id, uint64(d.SharedInfo)<<12+uint64(off), le.AppendUint64(nil, n))
				},
				func(off int, n uint64) { le.PutUint64(c[off:], n) }, uint64(zero.SharedInfo)}
			tt.does(h)
			w.must(w.xenc().SetVCPUContext(id, 0, c))
			err := Save(t.Context(), w.m, id, new(bytes.Buffer), SaveOptions{Live: &Live{MaxRounds: 1}})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			w.runs(id)
		})
	}
}

// A guest whose table moves while it is sent is told from one whose does not.
func TestSaveTableMoves(t *testing.T) {
	w := newWorld(t)
	id := w.boot(config.TypePV, bootOptions{})
	d, _ := w.xen.Domain(id)
	o := SaveOptions{Live: new(Live), Progress: func(Progress) {
		w.xen.WriteGuest(id, uint64(d.SharedInfo)<<12+sharedP2MGen, le.AppendUint64(nil, 4))
	}}
	if err := Save(t.Context(), w.m, id, new(bytes.Buffer), o); err == nil || !strings.Contains(err.Error(), "generation 4, was 2") {
		t.Errorf("error %v", err)
	}
	w.runs(id)
}

// A guest's table that names the frames of others does not get them sent.
func TestSaveForeignFrames(t *testing.T) {
	w := newWorld(t)
	id := w.boot(config.TypePV, bootOptions{})
	v := w.view(id)
	zero, _ := w.xen.Domain(0)
	leaf := v.address(v.list+pvRelaxed*8&^(abi.PageSize-1))<<12 + pvRelaxed*8%abi.PageSize
	for i, m := range []uint64{uint64(zero.SharedInfo), 0, 1 << 40, 1 << 62, 1<<63 | 5} {
		w.xen.WriteGuest(id, leaf+8*uint64(i)+8*16, le.AppendUint64(nil, m))
	}
	var saved bytes.Buffer
	w.must(Save(t.Context(), w.m, id, &saved, SaveOptions{}))
	told := toldOf(t, &saved)
	for i := range abi.PFN(5) {
		if p := abi.PFN(pvRelaxed+16) + i; told[p] != nil {
			t.Errorf("page %d was sent", p)
		}
	}
	if told[pvRelaxed+21] == nil {
		t.Error("a page of its own was not sent")
	}
}

// A PVH guest that puts something at a far page has us keep no bit for each
// before that.
func TestSaveFarPage(t *testing.T) {
	w := newWorld(t)
	id := w.boot(config.TypePVH, bootOptions{})
	_, err := w.xenc().Populate(t.Context(), id, []abi.PFN{mostPages}, 0, 0, nil)
	w.must(err)
	if err := Save(t.Context(), w.m, id, new(bytes.Buffer), SaveOptions{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("error %v", err)
	}
	w.runs(id)
}

// A PVH guest that grows while it is sent is not saved without what it got.
func TestSaveGrows(t *testing.T) {
	w := newWorld(t)
	id := w.boot(config.TypePVH, bootOptions{})
	grown := false
	o := SaveOptions{Live: new(Live), Progress: func(p Progress) {
		if !grown {
			grown = true
			_, err := w.xenc().Populate(t.Context(), id, []abi.PFN{1 << 21}, 0, 0, nil)
			w.must(err)
		}
	}}
	if err := Save(t.Context(), w.m, id, new(bytes.Buffer), o); err == nil || !strings.Contains(err.Error(), "has grown") {
		t.Errorf("error %v", err)
	}
	w.runs(id)
}
