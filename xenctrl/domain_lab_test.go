package xenctrl_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"syscall"
	"testing"

	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// newDomain makes a paused domain of the given kind, and takes it away again
// when the test ends, which it checks.
func newDomain(t *testing.T, h *xenctrl.Handle, d xenctrl.CreateDomain) xenctrl.DomID {
	t.Helper()
	d.Handle = abi.UUID{0: 0x90, 1: 0x71, 15: 1}
	d.MaxEvtchnPort = 1023
	d.MaxGrantFrames, d.MaxMaptrackFrames = abi.HostDefault, abi.HostDefault
	id, err := h.CreateDomain(&d)
	check(t, err)
	t.Cleanup(func() {
		check(t, h.DestroyDomain(context.Background(), id))
		if info, err := h.DomainInfo(id); !errors.Is(err, xenctrl.ErrNoDomain) {
			t.Errorf("after destroy: %+v, %v", info, err)
		}
	})
	return id
}

func newPV(t *testing.T, h *xenctrl.Handle) xenctrl.DomID {
	id := newDomain(t, h, xenctrl.CreateDomain{MaxVCPUs: 2})
	check(t, h.SetMaxVCPUs(id, 2))
	check(t, h.SetMaxMem(id, 16<<10))
	check(t, h.SetAddressSize(id, 64))
	return id
}

func newPVH(t *testing.T, h *xenctrl.Handle) xenctrl.DomID {
	t.Helper()
	p, err := h.PhysInfo()
	check(t, err)
	if p.Capabilities&abi.CapHVM == 0 {
		t.Skip("this host's CPU has no VMX or SVM: no PVH guests")
	}
	flags := uint32(abi.CreateHVM)
	if p.Capabilities&abi.CapHAP != 0 {
		flags |= abi.CreateHAP
	}
	id := newDomain(t, h, xenctrl.CreateDomain{MaxVCPUs: 2, Flags: flags, EmulationFlags: abi.EmuPVH})
	check(t, h.SetMaxVCPUs(id, 2))
	check(t, h.SetMaxMem(id, 16<<10))
	check(t, h.SetPagingMempool(id, 4<<10))
	return id
}

func TestLabPVDomain(t *testing.T) {
	h := openXen(t)
	id := newPV(t, h)
	info, err := h.DomainInfo(id)
	if err != nil || info.HVM() || !info.Paused() || info.MaxVCPUID != 1 || info.MaxPages != 4096 ||
		info.Handle != (abi.UUID{0: 0x90, 1: 0x71, 15: 1}) {
		t.Fatalf("DomainInfo() = %+v, %v", info, err)
	}
	if bits, err := h.AddressSize(id); err != nil || bits != 64 {
		t.Errorf("AddressSize() = %d, %v", bits, err)
	}
	pfns, mfns := make([]xenctrl.PFN, 512), make([]xenctrl.MFN, 512)
	for i := range pfns {
		pfns[i] = xenctrl.PFN(i)
	}
	check(t, h.ClaimPages(id, 1024))
	n, err := h.Populate(context.Background(), id, pfns, 0, 0, mfns)
	if err != nil || n != 512 {
		t.Fatalf("Populate() = %d, %v", n, err)
	}
	super := []xenctrl.MFN{0}
	n, err = h.Populate(context.Background(), id, []xenctrl.PFN{512}, 9, 0, super)
	if err != nil || n != 1 || super[0]&511 != 0 || super[0] == 0 {
		t.Errorf("Populate(2 MiB) = %d, %v, mfn %#x", n, err, super)
	}
	check(t, h.ClaimPages(id, 0))
	if info, err = h.DomainInfo(id); err != nil || info.Pages != 1024 {
		t.Errorf("the domain owns %d pages, want 1024; %v", info.Pages, err)
	}
	if p, err := h.CurrentReservation(id); err != nil || p != 1024 {
		t.Errorf("CurrentReservation() = %d, %v", p, err)
	}

	writeAndReadBack(t, h, id, []xenctrl.GFN{xenctrl.GFN(mfns[7]), xenctrl.GFN(mfns[300]), xenctrl.GFN(mfns[8])})
	pinTables(t, h, id, mfns)

	si, err := h.MapForeign(id, []xenctrl.GFN{info.SharedInfoFrame}, xenctrl.ProtReadWrite)
	check(t, err)
	check(t, si.With(func(b []byte) error { b[1] = 1; return nil }))
	check(t, si.Close())

	n, err = h.DecreaseReservation(context.Background(), id, []xenctrl.GFN{xenctrl.GFN(mfns[511])}, 0)
	if err != nil || n != 1 {
		t.Errorf("DecreaseReservation() = %d, %v", n, err)
	}
	check(t, h.SetMemoryMap(id, []xenctrl.E820Entry{{Size: 4 << 20, Type: abi.E820RAM}}))
	commonChecks(t, h, id)
}

// pinTables builds the smallest tree of page tables in pfns 1 to 4, pins it,
// and sets a context that uses it.
func pinTables(t *testing.T, h *xenctrl.Handle, id xenctrl.DomID, mfns []xenctrl.MFN) {
	t.Helper()
	frames := []xenctrl.GFN{xenctrl.GFN(mfns[1]), xenctrl.GFN(mfns[2]), xenctrl.GFN(mfns[3]), xenctrl.GFN(mfns[4])}
	tables, err := h.MapForeign(id, frames, xenctrl.ProtReadWrite)
	check(t, err)
	check(t, tables.With(func(b []byte) error {
		clear(b)
		for level := range 3 {
			le.PutUint64(b[level<<12:], uint64(mfns[2+level])<<12|0x67)
		}
		for i := range 500 {
			flags := uint64(0x23)
			if i >= 1 && i <= 4 {
				flags = 0x21
			}
			le.PutUint64(b[3<<12+8*i:], uint64(mfns[i])<<12|flags)
		}
		return nil
	}))
	if err := h.PinTable(id, 4, mfns[1]); err == nil {
		t.Error("PinTable with a writable mapping was accepted")
	} else {
		t.Logf("PinTable with a writable mapping: %v", err)
	}
	check(t, tables.Close())
	check(t, h.PinTable(id, 4, mfns[1]))
	types := []uint64{uint64(mfns[1]), uint64(mfns[4]), uint64(mfns[9]), 0xffffff000}
	check(t, h.PageTypes(id, types))
	want := []uint64{abi.FrameL4Tab | abi.FramePinned, abi.FrameL1Tab, abi.FrameNoTab, abi.FrameInvalid}
	if !slices.Equal(types, want) {
		t.Errorf("PageTypes() = %#x, want %#x", types, want)
	}
	if _, err := h.MapForeign(id, frames[:1], xenctrl.ProtReadWrite); err == nil {
		t.Error("a pinned table could be mapped writable")
	} else {
		t.Logf("map a pinned table writable: %v", err)
	}

	vc := make([]byte, abi.VCPUContextSize)
	le.PutUint64(vc[512:], 0x24)
	le.PutUint64(vc[664:], 0x200)
	if err := h.SetVCPUContext(id, 0, vc); err == nil {
		t.Error("a context without cr3 was accepted")
	} else {
		t.Logf("context without cr3: %v", err)
	}
	le.PutUint64(vc[648:], 0x1000)
	le.PutUint16(vc[656:], 0xe033)
	le.PutUint16(vc[680:], 0xe02b)
	le.PutUint64(vc[4984+24:], uint64(mfns[1])<<12)
	check(t, h.SetVCPUContext(id, 0, vc))
	got, err := h.VCPUContext(id, 0)
	if err != nil || le.Uint64(got[648:]) != 0x1000 || le.Uint64(got[4984+24:]) != uint64(mfns[1])<<12 {
		t.Errorf("VCPUContext(): rip %#x, cr3 %#x, %v", le.Uint64(got[648:]), le.Uint64(got[4984+24:]), err)
	}
	if v, err := h.VCPUInfo(id, 0); err != nil || !v.Online {
		t.Errorf("VCPUInfo(0) = %+v, %v", v, err)
	}
	if v, err := h.VCPUInfo(id, 1); err != nil || v.Online {
		t.Errorf("VCPUInfo(1) = %+v, %v", v, err)
	}
	if _, err := h.VCPUInfo(id, 2); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("VCPUInfo(2): %v, want EINVAL", err)
	}
	vcpuState(t, h, id)
	check(t, h.HypercallInit(id, xenctrl.GFN(mfns[20])))
	page, err := h.MapForeign(id, []xenctrl.GFN{xenctrl.GFN(mfns[20])}, xenctrl.ProtRead)
	check(t, err)
	check(t, page.With(func(b []byte) error {
		if bytes.Equal(b[:32], make([]byte, 32)) {
			t.Error("HypercallInit wrote nothing")
		}
		return nil
	}))
	check(t, page.Close())
	check(t, h.UnpinTable(id, mfns[1]))
}

// vcpuState reads and writes back what a migration of a PV vcpu carries.
func vcpuState(t *testing.T, h *xenctrl.Handle, id xenctrl.DomID) {
	t.Helper()
	ext, err := h.ExtVCPUContext(id, 0)
	if err != nil || len(ext) < 32 {
		t.Fatalf("ExtVCPUContext() = %d bytes, %v", len(ext), err)
	}
	check(t, h.SetExtVCPUContext(id, ext))
	mask, area, err := h.VCPUExtState(id, 0)
	if err != nil {
		t.Errorf("VCPUExtState: %v", err)
	}
	t.Logf("extended context %d bytes, xsave mask %#x, %d bytes", len(ext), mask, len(area))
	msrs, err := h.VCPUMSRs(id, 0)
	if err != nil {
		t.Errorf("VCPUMSRs: %v", err)
	}
	if len(msrs) > 0 {
		check(t, h.SetVCPUMSRs(id, 0, msrs))
	}
}

func writeAndReadBack(t *testing.T, h *xenctrl.Handle, id xenctrl.DomID, frames []xenctrl.GFN) {
	t.Helper()
	m, err := h.MapForeign(id, frames, xenctrl.ProtReadWrite)
	check(t, err)
	check(t, m.With(func(b []byte) error {
		for i := range frames {
			copy(b[i<<12+100:], []byte{'p', 'a', 'g', 'e', byte('0' + i)})
		}
		return nil
	}))
	check(t, m.Close())
	check(t, m.Close())
	slices.Reverse(frames)
	m, err = h.MapForeign(id, frames, xenctrl.ProtRead)
	check(t, err)
	check(t, m.With(func(b []byte) error {
		for i := range frames {
			if got, want := string(b[i<<12+100:][:5]), "page"+string(rune('0'+len(frames)-1-i)); got != want {
				t.Errorf("frame %#x has %q, want %q", uint64(frames[i]), got, want)
			}
		}
		return nil
	}))
	check(t, m.Close())
}

func TestLabPVHDomain(t *testing.T) {
	h := openXen(t)
	id := newPVH(t, h)
	info, err := h.DomainInfo(id)
	if err != nil || !info.PVH() || !info.Paused() {
		t.Fatalf("DomainInfo() = %+v, %v", info, err)
	}
	if pool, err := h.PagingMempool(id); err != nil || pool < 4<<10 {
		t.Errorf("PagingMempool() = %d KiB, %v", pool, err)
	}
	ctx := context.Background()
	if n, err := h.Populate(ctx, id, []xenctrl.PFN{0}, 9, 0, nil); err != nil || n != 1 {
		t.Fatalf("Populate(2 MiB) = %d, %v", n, err)
	}
	if n, err := h.Populate(ctx, id, []xenctrl.PFN{0xfeffc, 0xfefff}, 0, 0, nil); err != nil || n != 2 {
		t.Fatalf("Populate() = %d, %v", n, err)
	}
	writeAndReadBack(t, h, id, []xenctrl.GFN{0xfeffc, 0x10, 0x1ff})
	var frame *xenctrl.FrameError
	_, err = h.MapForeign(id, []xenctrl.GFN{0x10, 0x400, 0x11}, xenctrl.ProtRead)
	if !errors.As(err, &frame) || frame.First != 0x400 || frame.Failed != 1 {
		t.Errorf("MapForeign with a missing frame = %v", err)
	}
	t.Logf("missing frame: %v", err)
	if top, err := h.MaximumGPFN(id); err != nil || top != 0xfefff {
		t.Errorf("MaximumGPFN() = %#x, %v", top, err)
	}
	for _, p := range []struct {
		index uint32
		value uint64
	}{
		{abi.ParamStorePFN, 0xfeffc}, {abi.ParamConsolePFN, 0xfefff}, {abi.ParamIdentPT, 0xfeffe000},
		{abi.ParamStoreEvtchn, 1}, {abi.ParamConsoleEvtchn, 2}, {abi.ParamTimerMode, 1},
	} {
		check(t, h.SetHVMParam(id, p.index, p.value))
		if v, err := h.HVMParam(id, p.index); err != nil || v != p.value {
			t.Errorf("HVMParam(%d) = %#x, %v, want %#x", p.index, v, err, p.value)
		}
	}
	if err := h.SetHVMParam(id, 4, 1); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("SetHVMParam(4) = %v, want EINVAL", err)
	}
	check(t, h.SetMemoryMap(id, []xenctrl.E820Entry{{Size: 2 << 20, Type: abi.E820RAM}}))
	hvmContext(t, h, id)
	check(t, h.AddToPhysmap(id, abi.SpaceGrantTable, 0, 0x1000, 0))
	check(t, h.RemoveFromPhysmap(id, 0x1000))
	check(t, h.PinMemoryCacheAttr(id, 0x10, 0x11, 6))
	commonChecks(t, h, id)
}

func hvmContext(t *testing.T, h *xenctrl.Handle, id xenctrl.DomID) {
	t.Helper()
	blob, err := h.HVMContext(id)
	if err != nil || len(blob) < 40 || le.Uint16(blob) != 1 || le.Uint32(blob[4:]) != 24 {
		t.Fatalf("HVMContext() = %d bytes, %v", len(blob), err)
	}
	mtrr, err := h.HVMContextPartial(id, 14, 0)
	if err != nil || len(mtrr) != 240 {
		t.Fatalf("the MTRR record has %d bytes, %v", len(mtrr), err)
	}
	cpu := make([]byte, 1032)
	le.PutUint64(cpu[656:], 0x11)
	le.PutUint64(cpu[640:], 0x1000)
	le.PutUint64(cpu[720:], 0xffff0ff0)
	le.PutUint64(cpu[728:], 0x400)
	for _, off := range []int{768, 772, 776, 788} {
		le.PutUint32(cpu[off:], 0xffffffff)
	}
	le.PutUint32(cpu[792:], 0x67)
	le.PutUint32(cpu[888:], 0xc9b)
	for _, off := range []int{892, 896, 908} {
		le.PutUint32(cpu[off:], 0xc93)
	}
	le.PutUint32(cpu[912:], 0x8b)
	boot := slices.Clone(blob[:32])
	boot = le.AppendUint32(boot, 2)
	boot = le.AppendUint32(boot, 1032)
	boot = append(boot, cpu...)
	check(t, h.SetHVMContext(id, append(boot, make([]byte, 8)...)))
	got, err := h.HVMContextPartial(id, 2, 0)
	if err != nil || len(got) != 1032 || le.Uint64(got[640:]) != 0x1000 {
		t.Errorf("the CPU record has %d bytes, %v", len(got), err)
	}
	if v, err := h.VCPUInfo(id, 0); err != nil || !v.Online {
		t.Errorf("VCPUInfo(0) after the context = %+v, %v", v, err)
	}
}

// commonChecks makes what works on domains of both kinds.
func commonChecks(t *testing.T, h *xenctrl.Handle, id xenctrl.DomID) {
	t.Helper()
	port, err := h.EvtchnAllocUnbound(id, 0)
	check(t, err)
	if s, err := h.EvtchnStatus(id, port); err != nil || s.Status != abi.EvtchnUnbound || s.Remote != 0 {
		t.Errorf("EvtchnStatus(%d) = %+v, %v", port, s, err)
	}
	gt, err := h.MapResource(id, xenctrl.Resource{Type: abi.ResourceGrantTable}, 0, 1, xenctrl.ProtReadWrite)
	check(t, err)
	check(t, gt.With(func(b []byte) error {
		copy(b, abi.AppendGrantEntryV1(nil, abi.GrantPermitAccess, 0, 0x10))
		return nil
	}))
	check(t, gt.Close())
	if frames, limit, err := h.GrantTableSize(id); err != nil || frames < 1 || limit < 1 {
		t.Errorf("GrantTableSize() = %d of %d, %v", frames, limit, err)
	}
	if n, err := h.ResourceFrames(id, xenctrl.Resource{Type: abi.ResourceGrantTable}); err != nil {
		t.Errorf("ResourceFrames: %v", err)
	} else {
		t.Logf("the grant table can have %d frames", n)
	}
	check(t, h.SetTimeOffset(id, 3600))
	check(t, h.SetTSCInfo(id, xenctrl.TSCInfo{Mode: abi.TSCDefault}))
	if _, err := h.TSCInfo(id); err != nil {
		t.Errorf("TSCInfo: %v", err)
	}
	affinity(t, h, id)
	scheduling(t, h, id)
	realPolicy(t, h, id)
	check(t, h.SetDomainHandle(id, abi.UUID{5}))
	check(t, h.SetIOPortPermission(id, 0x2e8, 8, true))
	check(t, h.SetIOPortPermission(id, 0x2e8, 8, false))
	check(t, h.SetIOMemPermission(id, 0xfec10, 1, true))
	check(t, h.SetVNUMA(id, xenctrl.VNUMA{
		Distance: []uint32{10}, VCPUNode: []uint32{0, 0}, HostNode: []uint32{0},
		Ranges: []abi.VMemRange{{Start: 0, End: 4 << 20}},
	}))
	check(t, h.Pause(id))
	check(t, h.Unpause(id))
	if d, err := h.DomainInfo(id); err != nil || !d.Paused() || d.Handle != (abi.UUID{5}) {
		t.Errorf("DomainInfo() = %+v, %v", d, err)
	}
	check(t, h.RemoteShutdown(id, abi.ShutdownCrash))
	if d, err := h.DomainInfo(id); err != nil || !d.Shutdown() || d.ShutdownReason() != abi.ShutdownCrash {
		t.Errorf("DomainInfo() after a remote shutdown = %+v, %v", d, err)
	}
}

func affinity(t *testing.T, h *xenctrl.Handle, id xenctrl.DomID) {
	t.Helper()
	hard, soft, err := h.SetVCPUAffinity(id, 1, abi.BitmapOf(0), nil)
	if err != nil || !hard.Equal(abi.BitmapOf(0)) {
		t.Errorf("SetVCPUAffinity() = %v, %v, %v", hard, soft, err)
	}
	hard, _, err = h.VCPUAffinity(id, 1)
	if err != nil || !hard.Equal(abi.BitmapOf(0)) {
		t.Errorf("VCPUAffinity() = %v, %v", hard, err)
	}
	check(t, h.SetNodeAffinity(id, abi.BitmapOf(0)))
}

func scheduling(t *testing.T, h *xenctrl.Handle, id xenctrl.DomID) {
	t.Helper()
	sched, err := h.SchedID()
	check(t, err)
	check(t, h.SetSchedParams(id, sched, xenctrl.SchedParams{Weight: 512, Cap: 50}))
	if p, err := h.SchedParams(id, sched); err != nil || p.Weight != 512 || p.Cap != 50 {
		t.Errorf("SchedParams() = %+v, %v", p, err)
	}
	if _, err := h.SchedParams(id, abi.SchedRTDS); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("SchedParams of another scheduler: %v, want EINVAL", err)
	}
}

func realPolicy(t *testing.T, h *xenctrl.Handle, id xenctrl.DomID) {
	t.Helper()
	p, err := h.CPUPolicy(id)
	if err != nil || len(p.Leaves) < 10 {
		t.Fatalf("CPUPolicy() = %d leaves, %v", len(p.Leaves), err)
	}
	check(t, h.SetCPUPolicy(id, p))
	bad := xenctrl.CPUPolicy{Leaves: []xenctrl.CPUIDLeaf{{Leaf: 0x3fffffff, Subleaf: abi.NoSubleaf}}}
	var refused *xenctrl.PolicyError
	if err := h.SetCPUPolicy(id, bad); !errors.As(err, &refused) || refused.Leaf != 0x3fffffff {
		t.Errorf("SetCPUPolicy(bad leaf) = %v", err)
	} else {
		t.Logf("bad leaf: %v", err)
	}
}
