package xenctrl_test

import (
	"context"
	"testing"

	"goxl/xenctrl"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
)

// silentXen answers every hypercall at once with nothing: what remains is our
// own cost of a call.
type silentXen struct{ xenctrl.System }

func (silentXen) Hypercall(op uint64, args [5]uint64) (int64, error) {
	switch op {
	case abi.OpXenVersion:
		return 4<<16 | 17, nil
	case abi.OpMemory:
		return 1 << 20, nil // all of them, whatever was asked
	}
	return 0, nil
}

func silent(t testing.TB) *xenctrl.Handle {
	h, err := xenctrl.New(silentXen{xentest.NewMachine(t).System()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// TestNoAllocations holds the calls that are made often to no garbage at all.
func TestNoAllocations(t *testing.T) {
	h, ctx := silent(t), context.Background()
	pfns, mfns := make([]xenctrl.PFN, 512), make([]xenctrl.MFN, 512)
	for name, f := range map[string]func(){
		"DomainInfo":    func() { _, _ = h.DomainInfo(0) },
		"VCPUInfo":      func() { _, _ = h.VCPUInfo(0, 0) },
		"PhysInfo":      func() { _, _ = h.PhysInfo() },
		"Populate(512)": func() { _, _ = h.Populate(ctx, 7, pfns, 0, 0, mfns) },
		"Pause":         func() { _ = h.Pause(7) },
		"ClaimPages":    func() { _ = h.ClaimPages(7, 1) },
		"EvtchnStatus":  func() { _, _ = h.EvtchnStatus(7, 1) },
	} {
		f() // fills the pool
		if n := testing.AllocsPerRun(100, f); n > 0 {
			t.Errorf("%s makes %v allocations", name, n)
		}
	}
}

func BenchmarkDomainInfo(b *testing.B) {
	h := silent(b)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = h.DomainInfo(0)
	}
}

func BenchmarkSetMaxMem(b *testing.B) {
	h := silent(b)
	b.ReportAllocs()
	for b.Loop() {
		_ = h.SetMaxMem(7, 1<<20)
	}
}

func BenchmarkCreateDomain(b *testing.B) {
	h := silent(b)
	d := xenctrl.CreateDomain{MaxVCPUs: 1, GrantVersion: 2}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = h.CreateDomain(&d)
	}
}

func BenchmarkPopulate(b *testing.B) {
	h, ctx := silent(b), context.Background()
	pfns, mfns := make([]xenctrl.PFN, 8192), make([]xenctrl.MFN, 8192)
	b.SetBytes(int64(len(pfns)) * abi.PageSize)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = h.Populate(ctx, 7, pfns, 0, 0, mfns)
	}
}

func BenchmarkDomains1000(b *testing.B) {
	m := xentest.New(b, xentest.Config{})
	for id := range xenctrl.DomID(999) {
		m.AddDomain(id + 1)
	}
	h := m.Handle()
	b.ReportAllocs()
	for b.Loop() {
		if all, err := h.Domains(); err != nil || len(all) != 1000 {
			b.Fatal(len(all), err)
		}
	}
}

func BenchmarkMapForeign(b *testing.B) {
	m := xentest.New(b, xentest.Config{})
	m.AddDomain(7)
	h := m.Handle()
	mfns := make([]xenctrl.MFN, 256)
	_, _ = h.Populate(context.Background(), 7, make([]xenctrl.PFN, 256), 0, 0, mfns)
	frames := make([]xenctrl.GFN, len(mfns))
	for i, f := range mfns {
		frames[i] = xenctrl.GFN(f)
	}
	b.SetBytes(int64(len(frames)) * abi.PageSize)
	b.ReportAllocs()
	for b.Loop() {
		mp, err := h.MapForeign(7, frames, xenctrl.ProtReadWrite)
		if err != nil {
			b.Fatal(err)
		}
		_ = mp.Close()
	}
}
