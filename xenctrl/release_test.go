package xenctrl_test

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"syscall"
	"testing"

	"goxl/xenctrl"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
)

// onEveryRelease runs f on a machine of each release.
func onEveryRelease(t *testing.T, f func(t *testing.T, m *xentest.Machine)) {
	for _, v := range abi.Releases() {
		t.Run(v.String(), func(t *testing.T) { f(t, xentest.New(t, xentest.Config{Version: v})) })
	}
}

var le = binary.LittleEndian

func TestProbe(t *testing.T) {
	onEveryRelease(t, func(t *testing.T, m *xentest.Machine) {
		if got := m.Handle().Version(); got != m.Version() {
			t.Errorf("Version() = %+v, want %+v", got, m.Version())
		}
		want := []string{"xen_version/0", "domctl/getdomaininfo", "sysctl/sched_id"}
		if got := m.Calls(); !slices.Equal(got, want) {
			t.Errorf("probing made the calls %v, want %v", got, want)
		}
	})
}

func TestProbeOtherNumbers(t *testing.T) {
	v := abi.Version{Major: 4, Minor: 17, Domctl: 0x17, Sysctl: 0x16} // a vendor's build
	m := xentest.New(t, xentest.Config{Version: v})
	if got := m.Handle().Version(); got != v {
		t.Errorf("Version() = %+v, want %+v", got, v)
	}
}

func TestProbeRefused(t *testing.T) {
	m := xentest.New(t, xentest.Config{FLASK: true})
	_, err := xenctrl.New(m.System())
	if !errors.Is(err, xenctrl.ErrPermission) || !errors.Is(err, syscall.EACCES) {
		t.Errorf("New() = %v, want a refusal that names both causes", err)
	}
	old := abi.Version{Major: 4, Minor: 13, Domctl: 0x12, Sysctl: 0x12}
	if _, err := xenctrl.New(xentest.New(t, xentest.Config{Version: old}).System()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("New() on 4.13 = %v, want ErrUnsupported", err)
	}
	next := abi.Version{Major: 4, Minor: 23, Domctl: 0x18, Sysctl: 0x16}
	h, err := xenctrl.New(xentest.New(t, xentest.Config{Version: next}).System())
	if err != nil || h.Version() != next {
		t.Errorf("New() on 4.23 = %v", err)
	}
	if err == nil {
		_ = h.Close()
	}
}

// TestBuildPV makes the calls of a PV build: memory, page tables, pinning,
// context, grants, and the end.
func TestBuildPV(t *testing.T) {
	onEveryRelease(t, func(t *testing.T, m *xentest.Machine) {
		h, ctx := m.Handle(), context.Background()
		free := m.FreeMemory()
		id, err := h.CreateDomain(&xenctrl.CreateDomain{
			Handle: abi.UUID{1, 2, 3}, MaxVCPUs: 2, MaxEvtchnPort: 1023,
			MaxGrantFrames: abi.HostDefault, MaxMaptrackFrames: abi.HostDefault,
		})
		check(t, err)
		check(t, h.SetMaxVCPUs(id, 2))
		check(t, h.SetMaxMem(id, 8<<10))
		store, err := h.EvtchnAllocUnbound(id, 0)
		check(t, err)
		check(t, h.SetAddressSize(id, 64))
		check(t, h.ClaimPages(id, 1024))

		pfns, mfns := make([]xenctrl.PFN, 1024), make([]xenctrl.MFN, 1024)
		for i := range pfns {
			pfns[i] = xenctrl.PFN(i)
		}
		n, err := h.Populate(ctx, id, pfns, 0, 0, mfns)
		if err != nil || n != 1024 {
			t.Fatalf("Populate() = %d, %v", n, err)
		}
		check(t, h.ClaimPages(id, 0))

		// L4, L3, L2, L1 in pfns 1 to 4, mapping pfns 0 to 511; read-only where
		// the tables themselves lie.
		tables, err := h.MapForeign(id, []xenctrl.GFN{
			xenctrl.GFN(mfns[1]), xenctrl.GFN(mfns[2]), xenctrl.GFN(mfns[3]), xenctrl.GFN(mfns[4]),
		}, xenctrl.ProtReadWrite)
		check(t, err)
		check(t, tables.With(func(b []byte) error {
			for level := range 3 {
				le.PutUint64(b[level<<12:], uint64(mfns[2+level])<<12|0x67)
			}
			for i := range 512 {
				flags := uint64(0x23)
				if i >= 1 && i <= 4 {
					flags = 0x21
				}
				le.PutUint64(b[3<<12+8*i:], uint64(mfns[i])<<12|flags)
			}
			return nil
		}))
		if err := h.PinTable(id, 4, mfns[1]); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("PinTable with a writable mapping = %v, want EINVAL", err)
		}
		check(t, tables.Close())
		check(t, h.PinTable(id, 4, mfns[1]))
		if _, err := h.MapForeign(id, []xenctrl.GFN{xenctrl.GFN(mfns[1])}, xenctrl.ProtReadWrite); err == nil {
			t.Error("a pinned table could be mapped writable")
		}

		vc := make([]byte, abi.VCPUContextSize)
		le.PutUint64(vc[512:], 0x24)
		if err := h.SetVCPUContext(id, 0, vc); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("SetVCPUContext without cr3 = %v, want EINVAL", err)
		}
		le.PutUint64(vc[4984+24:], uint64(mfns[1])<<12)
		check(t, h.SetVCPUContext(id, 0, vc))
		if got, err := h.VCPUContext(id, 0); err != nil || !slices.Equal(got, vc) {
			t.Errorf("VCPUContext() differs, %v", err)
		}

		seedGrants(t, h, id)
		info, err := h.DomainInfo(id)
		if err != nil || info.Pages != 1024 || info.MaxVCPUID != 1 || info.Handle != (abi.UUID{1, 2, 3}) || !info.Paused() {
			t.Errorf("DomainInfo() = %+v, %v", info, err)
		}
		si, err := h.MapForeign(id, []xenctrl.GFN{info.SharedInfoFrame}, xenctrl.ProtReadWrite)
		check(t, err)
		check(t, si.Close())
		if !m.BindPort(id, store) {
			t.Error("the store port is not bindable by domain 0")
		}
		check(t, h.Unpause(id))
		check(t, h.DestroyDomain(ctx, id))
		if len(m.IDs()) != 0 || m.FreeMemory() != free {
			t.Errorf("after destroy: domains %v, %d KiB free of %d", m.IDs(), m.FreeMemory(), free)
		}
	})
}

func seedGrants(t *testing.T, h *xenctrl.Handle, id xenctrl.DomID) {
	t.Helper()
	gt, err := h.MapResource(id, xenctrl.Resource{Type: abi.ResourceGrantTable}, 0, 1, xenctrl.ProtReadWrite)
	check(t, err)
	check(t, gt.With(func(b []byte) error {
		copy(b, abi.AppendGrantEntryV1(nil, abi.GrantPermitAccess, 0, 0x1234))
		return nil
	}))
	check(t, gt.Close())
}

// TestBuildPVH makes the calls of a PVH build.
func TestBuildPVH(t *testing.T) {
	onEveryRelease(t, func(t *testing.T, m *xentest.Machine) {
		h, ctx := m.Handle(), context.Background()
		id, err := h.CreateDomain(&xenctrl.CreateDomain{
			Flags: abi.CreateHVM | abi.CreateHAP, MaxVCPUs: 1, MaxEvtchnPort: 1023,
			MaxGrantFrames: abi.HostDefault, MaxMaptrackFrames: abi.HostDefault, EmulationFlags: abi.EmuPVH,
		})
		check(t, err)
		if err := h.SetPagingMempool(id, 4<<10); err == nil {
			t.Error("a paging pool without vcpus was accepted")
		}
		check(t, h.SetMaxVCPUs(id, 1))
		check(t, h.SetMaxMem(id, 65<<10))
		check(t, h.SetPagingMempool(id, 4<<10))
		if got, err := h.PagingMempool(id); err != nil || got != 4<<10 {
			t.Errorf("PagingMempool() = %d, %v", got, err)
		}
		n, err := h.Populate(ctx, id, []xenctrl.PFN{0, 512}, 9, 0, nil)
		if err != nil || n != 2 {
			t.Fatalf("Populate() = %d, %v", n, err)
		}
		mem, err := h.MapForeign(id, []xenctrl.GFN{0x100, 0x3ff}, xenctrl.ProtReadWrite)
		check(t, err)
		check(t, mem.With(func(b []byte) error { copy(b[4090:], "across pages"); return nil }))
		check(t, mem.Close())
		if got := string(m.ReadGuest(id, 0x100ffa, 6)) + string(m.ReadGuest(id, 0x3ff000, 6)); got != "across pages" {
			t.Errorf("the guest sees %q", got)
		}
		var frame *xenctrl.FrameError
		if _, err := h.MapForeign(id, []xenctrl.GFN{0, 0x400, 0x401}, xenctrl.ProtRead); !errors.As(err, &frame) ||
			frame.First != 0x400 || frame.Failed != 2 {
			t.Errorf("MapForeign of missing frames = %v", err)
		}
		check(t, h.SetHVMParam(id, abi.ParamStorePFN, 0xfeffc))
		if v, err := h.HVMParam(id, abi.ParamStorePFN); err != nil || v != 0xfeffc {
			t.Errorf("HVMParam() = %#x, %v", v, err)
		}
		check(t, h.SetMemoryMap(id, []xenctrl.E820Entry{{Addr: 0, Size: 4 << 20, Type: abi.E820RAM}}))

		blob, err := h.HVMContext(id)
		check(t, err)
		boot := slices.Clone(blob[:8+24]) // the header as Xen wrote it
		cpu := make([]byte, 1032)
		le.PutUint64(cpu[640:], 0x1000200)
		boot = le.AppendUint16(boot, 2)
		boot = le.AppendUint16(boot, 0)
		boot = le.AppendUint32(boot, 1032)
		boot = append(boot, cpu...)
		check(t, h.SetHVMContext(id, append(boot, make([]byte, 8)...)))
		if got := m.HVMRecord(id, 2, 0); len(got) != 1032 || le.Uint64(got[640:]) != 0x1000200 {
			t.Errorf("the CPU record has %d bytes", len(got))
		}
		if rec, err := h.HVMContextPartial(id, 2, 0); err != nil || !slices.Equal(rec, cpu) {
			t.Errorf("HVMContextPartial() = %d bytes, %v", len(rec), err)
		}
		seedGrants(t, h, id)
		testPolicy(t, h, id)
		check(t, h.DestroyDomain(ctx, id))
	})
}

func testPolicy(t *testing.T, h *xenctrl.Handle, id xenctrl.DomID) {
	t.Helper()
	p, err := h.CPUPolicy(id)
	if err != nil || len(p.Leaves) < 10 {
		t.Fatalf("CPUPolicy() = %d leaves, %v", len(p.Leaves), err)
	}
	p.Leaves[1].C &^= 1
	check(t, h.SetCPUPolicy(id, p))
	again, err := h.CPUPolicy(id)
	if err != nil || !slices.Equal(again.Leaves, p.Leaves) {
		t.Errorf("CPUPolicy() after SetCPUPolicy differs, %v", err)
	}
	bad := xenctrl.CPUPolicy{Leaves: []xenctrl.CPUIDLeaf{{Leaf: 0x99, Subleaf: abi.NoSubleaf}}}
	var refused *xenctrl.PolicyError
	if err := h.SetCPUPolicy(id, bad); !errors.As(err, &refused) || refused.Leaf != 0x99 || !errors.Is(err, syscall.ERANGE) {
		t.Errorf("SetCPUPolicy(leaf 0x99) = %v", err)
	}
	check(t, h.Unpause(id))
	if err := h.SetCPUPolicy(id, p); !errors.Is(err, xenctrl.ErrExists) {
		t.Errorf("SetCPUPolicy after the start = %v, want ErrExists", err)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
