package build_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"goxl/domains/build"
	"goxl/domains/config"
	"goxl/domains/image"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
)

const guestID = 5

// smallKernel is the ELF file of package image's tests: laid out and annotated
// like Linux, with 60 KB of code at 16 MiB.
func smallKernel(t testing.TB) *image.Image {
	t.Helper()
	f, err := os.Open("../image/testdata/payload.elf.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	im, err := image.Load(f, st.Size(), image.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return im
}

func smallGuest(t testing.TB, kind build.Kind) build.Params {
	ramdisk := bytes.Repeat([]byte("ramdisk "), 3000)
	return build.Params{Kind: kind, Image: smallKernel(t), CmdLine: "console=hvc0 root=/dev/xvda", TimerMode: 1,
		Modules: []build.Module{{Data: bytes.NewReader(ramdisk), Size: int64(len(ramdisk))}},
		Target:  32 << 10, VCPUs: 2, Claim: true, Console: build.Ring{Remote: 3}}
}

// emptyDomain makes the domain that a guest is built into.
func emptyDomain(t testing.TB, h *xenctrl.Handle, kind build.Kind, vcpus int) {
	t.Helper()
	d := &abi.CreateDomain{MaxVCPUs: uint32(vcpus), MaxEvtchnPort: 1023, MaxGrantFrames: 64, MaxMaptrackFrames: 1024}
	if kind == build.PVH {
		d.Flags, d.EmulationFlags = abi.CreateHVM|abi.CreateHAP, abi.EmuPVH
	}
	if _, err := h.CreateDomainAs(guestID, d); err != nil {
		t.Fatal(err)
	}
}

// TestRun builds both kinds of guest on every release.
func TestRun(t *testing.T) {
	for _, v := range abi.Releases() {
		for _, kind := range []build.Kind{build.PV, build.PVH} {
			t.Run(fmt.Sprintf("%v on %v", kind, v), func(t *testing.T) {
				m := xentest.New(t, xentest.Config{Version: v})
				emptyDomain(t, m.Handle(), kind, 2)
				r, err := build.Run(t.Context(), m.Handle(), guestID, smallGuest(t, kind))
				if err != nil {
					t.Fatal(err)
				}
				d, ok := m.Domain(guestID)
				if !ok {
					t.Fatal("the domain is gone")
				}
				if d.VCPUs != 2 || d.MaxMem != 33<<10 || d.Claim != 0 || d.Ports != 2 || m.Mappings(guestID) != 0 {
					t.Errorf("%+v, %d mappings", d, m.Mappings(guestID))
				}
				checkGrants(t, m, r)
				if kind == build.PV {
					checkPV(t, m, &d, r)
				} else {
					checkPVH(t, m, &d, r)
				}
			})
		}
	}
}

func checkGrants(t *testing.T, m *xentest.Machine, r *build.Result) {
	t.Helper()
	g := m.GrantTable(guestID)
	if len(g) < 16 || le.Uint16(g) != 1 || le.Uint16(g[2:]) != 3 || uint64(le.Uint32(g[4:])) != uint64(r.Console.Frame) ||
		le.Uint16(g[8:]) != 1 || le.Uint16(g[10:]) != 0 || uint64(le.Uint32(g[12:])) != uint64(r.Store.Frame) {
		t.Errorf("grants % x, result %+v", g[:16], r)
	}
}

func checkPV(t *testing.T, m *xentest.Machine, d *xentest.Domain, r *build.Result) {
	t.Helper()
	if len(d.Contexts) == 0 || d.Contexts[0] == nil {
		t.Fatal("vcpu 0 has no context")
	}
	root := abi.MFN(le.Uint64(d.Contexts[0][4984+24:]) >> abi.PageShift)
	if d.Pinned[root] != 4 || len(d.Pinned) != 1 {
		t.Errorf("pinned %v, root %#x", d.Pinned, root)
	}
	if d.Pages != 32<<8 || d.HypercallPage == 0 || d.Bits != 64 {
		t.Errorf("%+v", d)
	}
	if len(d.E820) != 1 || d.E820[0] != (abi.E820Entry{Size: 32 << 20, Type: abi.E820RAM}) {
		t.Errorf("memory map %+v", d.E820)
	}
}

func checkPVH(t *testing.T, m *xentest.Machine, d *xentest.Domain, r *build.Result) {
	t.Helper()
	if r.Store.Frame != 0xfeffc || r.Console.Frame != 0xfefff {
		t.Errorf("rings %+v", r)
	}
	want := map[uint32]uint64{abi.ParamStorePFN: 0xfeffc, abi.ParamConsolePFN: 0xfefff, abi.ParamIdentPT: 0xfeffe000,
		abi.ParamStoreEvtchn: uint64(r.Store.Port), abi.ParamConsoleEvtchn: uint64(r.Console.Port), abi.ParamTimerMode: 1}
	for i, v := range want {
		if d.Params[i] != v {
			t.Errorf("parameter %d = %#x, want %#x", i, d.Params[i], v)
		}
	}
	if r.Paging == 0 || d.PagingPool < r.Paging {
		t.Errorf("paging pool %d KiB, result %d", d.PagingPool, r.Paging)
	}
	cpu := m.HVMRecord(guestID, 2, 0)
	if le.Uint64(cpu[640:]) != 0x1000010 {
		t.Errorf("entry %#x", le.Uint64(cpu[640:]))
	}
	start := m.ReadGuest(guestID, le.Uint64(cpu[520:]), 56)
	if le.Uint32(start) != 0x336ec578 || le.Uint32(start[12:]) != 1 {
		t.Fatalf("start info % x", start)
	}
	if text := m.ReadGuest(guestID, le.Uint64(start[24:]), 28); string(text) != "console=hvc0 root=/dev/xvda\x00" {
		t.Errorf("command line %q", text)
	}
	mod := m.ReadGuest(guestID, le.Uint64(start[16:]), 32)
	if got := m.ReadGuest(guestID, le.Uint64(mod), 8); le.Uint64(mod[8:]) != 24000 || string(got) != "ramdisk " {
		t.Errorf("ramdisk of %d bytes starts with %q", le.Uint64(mod[8:]), got)
	}
	if rsdp := m.ReadGuest(guestID, le.Uint64(start[32:]), 8); string(rsdp) != "RSD PTR " {
		t.Errorf("ACPI root %q", rsdp)
	}
	if int(le.Uint32(start[48:])) != len(d.E820) || d.E820[0] != (abi.E820Entry{Size: 32 << 20, Type: abi.E820RAM}) {
		t.Errorf("%d entries in the start info, memory map %+v", le.Uint32(start[48:]), d.E820)
	}
}

// TestRunWithoutResources seeds the grants where the kernel cannot map the table.
func TestRunWithoutResources(t *testing.T) {
	for _, kind := range []build.Kind{build.PV, build.PVH} {
		t.Run(kind.String(), func(t *testing.T) {
			m := xentest.New(t, xentest.Config{NoResources: true})
			emptyDomain(t, m.Handle(), kind, 2)
			r, err := build.Run(t.Context(), m.Handle(), guestID, smallGuest(t, kind))
			if err != nil {
				t.Fatal(err)
			}
			checkGrants(t, m, r)
		})
	}
}

// TestRunFailing lets every single hypercall and mapping of a build fail, one
// run each. Run must say so, keep nothing mapped, and leave a domain that can be
// destroyed.
func TestRunFailing(t *testing.T) {
	for _, kind := range []build.Kind{build.PV, build.PVH} {
		t.Run(kind.String(), func(t *testing.T) {
			p := smallGuest(t, kind)
			for n := 1; ; n++ {
				m := xentest.NewMachine(t)
				emptyDomain(t, m.Handle(), kind, 2)
				before := len(m.Calls())
				m.FailAt(n, syscall.EIO)
				_, err := build.Run(t.Context(), m.Handle(), guestID, p)
				if len(m.Calls())-before < n {
					if err != nil {
						t.Fatalf("nothing failed, but: %v", err)
					}
					return // there is no call number n
				}
				failed := m.Calls()[before+n-1]
				if err == nil || !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "build domain 5: ") {
					t.Errorf("call %d, %s: %v", n, failed, err)
				}
				if m.Mappings(guestID) != 0 {
					t.Errorf("call %d, %s: %d mappings are left", n, failed, m.Mappings(guestID))
				}
				m.FailAt(0, 0)
				if err := m.Handle().DestroyDomain(t.Context(), guestID); err != nil {
					t.Errorf("call %d, %s: destroy: %v", n, failed, err)
				}
			}
		})
	}
}

func TestRunCancelled(t *testing.T) {
	m := xentest.NewMachine(t)
	emptyDomain(t, m.Handle(), build.PVH, 2)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the user had enough")
	cancel(why)
	if _, err := build.Run(ctx, m.Handle(), guestID, smallGuest(t, build.PVH)); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

func TestRunRefusals(t *testing.T) {
	for _, tt := range []struct {
		name   string
		kind   build.Kind
		change func(*build.Params)
		want   string
		is     error
	}{
		{"no kernel", build.PV, func(p *build.Params) { p.Image = nil }, "no kernel", nil},
		{"no kind", build.PV, func(p *build.Params) { p.Kind = 0 }, "unknown kind", errors.ErrUnsupported},
		{"too little memory", build.PV, func(p *build.Params) { p.Target = 8 << 10 }, "raise memory=", build.ErrTooSmall},
		{"too little memory", build.PVH, func(p *build.Params) { p.Target = 8 << 10 }, "raise memory=", build.ErrTooSmall},
		{"maxmem below memory", build.PVH, func(p *build.Params) { p.MaxMem = 1 << 10 }, "more than the maximum", nil},
		{"too many vcpus", build.PVH, func(p *build.Params) { p.VCPUs = 129 }, "at most 128", nil},
		{"long command line", build.PV, func(p *build.Params) { p.CmdLine = strings.Repeat("x", 1024) }, "at most 1023", nil},
		{"ramdisk cut short", build.PVH, func(p *build.Params) { p.Modules[0].Size = 100000 }, "read module 0", nil},
		{"leaf that CPUs lack", build.PV, func(p *build.Params) {
			p.CPUPolicy.Leaves = []config.CPUIDLeaf{{Leaf: 0x12345678}}
		}, "0x12345678", nil},
	} {
		t.Run(tt.name+", "+tt.kind.String(), func(t *testing.T) {
			m := xentest.NewMachine(t)
			emptyDomain(t, m.Handle(), tt.kind, 2)
			p := smallGuest(t, tt.kind)
			tt.change(&p)
			_, err := build.Run(t.Context(), m.Handle(), guestID, p)
			if err == nil || !strings.Contains(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestRunOutOfMemory: the host has less than the guest needs.
func TestRunOutOfMemory(t *testing.T) {
	for _, claim := range []bool{true, false} {
		t.Run(fmt.Sprintf("claim %v", claim), func(t *testing.T) {
			m := xentest.New(t, xentest.Config{Memory: 64 << 10})
			emptyDomain(t, m.Handle(), build.PVH, 2)
			p := smallGuest(t, build.PVH)
			p.Target, p.Claim = 256<<10, claim
			_, err := build.Run(t.Context(), m.Handle(), guestID, p)
			if !errors.Is(err, xenctrl.ErrNoMemory) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestRunVNUMA builds a guest of two virtual nodes, on a host of one.
func TestRunVNUMA(t *testing.T) {
	for _, kind := range []build.Kind{build.PV, build.PVH} {
		t.Run(kind.String(), func(t *testing.T) {
			m := xentest.NewMachine(t)
			emptyDomain(t, m.Handle(), kind, 2)
			p := smallGuest(t, kind)
			half := config.Some(abi.KiB(16 << 10))
			p.VNUMA = []config.VNode{
				{Mem: half, Distances: []uint32{10, 20}, VCPUs: config.BitmapOf(0)},
				{Mem: half, Distances: []uint32{20, 10}, VCPUs: config.BitmapOf(1)},
			}
			if _, err := build.Run(t.Context(), m.Handle(), guestID, p); err != nil {
				t.Fatal(err)
			}
			m = xentest.NewMachine(t)
			emptyDomain(t, m.Handle(), kind, 2)
			p.VNUMA[1].VCPUs = config.BitmapOf(0)
			if _, err := build.Run(t.Context(), m.Handle(), guestID, p); err == nil || !strings.Contains(err.Error(), "two nodes") {
				t.Errorf("a vcpu on two nodes: %v", err)
			}
		})
	}
}

func BenchmarkRun(b *testing.B) {
	for _, kind := range []build.Kind{build.PV, build.PVH} {
		b.Run(kind.String(), func(b *testing.B) {
			p := smallGuest(b, kind)
			b.ReportAllocs()
			for b.Loop() {
				m := xentest.NewMachine(b)
				emptyDomain(b, m.Handle(), kind, 2)
				if _, err := build.Run(b.Context(), m.Handle(), guestID, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
