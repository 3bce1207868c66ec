package xenctrl_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"goxl/xenctrl"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
)

func TestSetMaxMem(t *testing.T) {
	for _, tt := range []struct {
		name string
		id   xenctrl.DomID
		want error
		mem  xenctrl.KiB // of domain 7 afterwards
	}{
		{"running domain", 7, nil, 2048},
		{"domain that is gone", 9, xenctrl.ErrNoDomain, 1024},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := xentest.NewMachine(t, 7)
			if err := m.Handle().SetMaxMem(tt.id, 2048); !errors.Is(err, tt.want) {
				t.Errorf("SetMaxMem(%d) = %v, want %v", tt.id, err, tt.want)
			}
			if got := m.MaxMem(7); got != tt.mem {
				t.Errorf("domain 7 may own %d KiB, want %d", got, tt.mem)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	m := xentest.NewMachine(t, 7)
	h := m.Handle()
	err := h.SetMaxMem(9, 1)
	if got := err.Error(); got != "set max mem: domain 9: no such process" {
		t.Errorf("the error says %q", got)
	}
	for _, tt := range []struct {
		errno syscall.Errno
		is    error
	}{
		{syscall.ESRCH, xenctrl.ErrNoDomain}, {syscall.EBUSY, xenctrl.ErrBusy}, {syscall.ENOMEM, xenctrl.ErrNoMemory},
		{syscall.EPERM, xenctrl.ErrPermission}, {syscall.EACCES, xenctrl.ErrPermission}, {syscall.EEXIST, xenctrl.ErrExists},
		{syscall.ENOSYS, errors.ErrUnsupported}, {syscall.EOPNOTSUPP, errors.ErrUnsupported},
	} {
		m.FailAt(1, tt.errno)
		err := h.Pause(7)
		if !errors.Is(err, tt.is) || !errors.Is(err, tt.errno) {
			t.Errorf("Pause() with %v = %v, which is not %v", tt.errno, err, tt.is)
		}
	}
	if err := h.Pause(7); err != nil {
		t.Errorf("the fault stayed: %v", err)
	}
}

// TestDomainInfoExact holds that Xen's answer about the next domain, which it
// gives up to 4.17, is not taken for the one that was asked for.
func TestDomainInfoExact(t *testing.T) {
	onEveryRelease(t, func(t *testing.T, m *xentest.Machine) {
		m.AddDomain(5)
		if d, err := m.Handle().DomainInfo(4); !errors.Is(err, xenctrl.ErrNoDomain) {
			t.Errorf("DomainInfo(4) = domain %d, %v", d.ID, err)
		}
		if d, err := m.Handle().DomainInfo(5); err != nil || d.ID != 5 {
			t.Errorf("DomainInfo(5) = domain %d, %v", d.ID, err)
		}
	})
}

func TestDomains(t *testing.T) {
	onEveryRelease(t, func(t *testing.T, m *xentest.Machine) {
		want := []xenctrl.DomID{0}
		for id := xenctrl.DomID(1); id < 1500; id++ {
			m.AddDomain(id)
			want = append(want, id)
		}
		all, err := m.Handle().Domains()
		check(t, err)
		var got []xenctrl.DomID
		for _, d := range all {
			got = append(got, d.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("Domains() has %d domains, want %d", len(got), len(want))
		}
	})
}

func TestCreateDomainFields(t *testing.T) {
	onEveryRelease(t, func(t *testing.T, m *xentest.Machine) {
		want := xenctrl.CreateDomain{
			SSIDRef: 3, Handle: abi.UUID{9, 8, 7}, Flags: abi.CreateHVM | abi.CreateHAP, MaxVCPUs: 5, MaxEvtchnPort: 99,
			MaxGrantFrames: 40, MaxMaptrackFrames: 30, EmulationFlags: abi.EmuPVH,
		}
		if m.Version().AtLeast(4, 15) {
			want.MiscFlags = abi.MiscRelaxedMSR
		}
		id, err := m.Handle().CreateDomain(&want)
		check(t, err)
		if m.Version().AtLeast(4, 16) {
			want.GrantVersion = 2 // chosen, since 0 is refused
		}
		if d, _ := m.Domain(id); d.Created != want {
			t.Errorf("Xen read %+v\nwant %+v", d.Created, want)
		}
		second, err := m.Handle().CreateDomain(&want)
		if err != nil || second == id || second == 0 {
			t.Errorf("the second domain is %d, %v", second, err)
		}
		if _, err := m.Handle().CreateDomainAs(id, &want); !errors.Is(err, xenctrl.ErrExists) {
			t.Errorf("CreateDomainAs(%d) = %v, want ErrExists", id, err)
		}
	})
}

func TestCreateDomainUnsupported(t *testing.T) {
	for _, tt := range []struct {
		minor int
		d     xenctrl.CreateDomain
		text  string
	}{
		{14, xenctrl.CreateDomain{Flags: abi.CreateNestedVirt}, "needs Xen 4.15"},
		{15, xenctrl.CreateDomain{Flags: abi.CreateVPMU}, "needs Xen 4.16"},
		{15, xenctrl.CreateDomain{GrantVersion: 1}, "needs Xen 4.16"},
		{18, xenctrl.CreateDomain{Altp2mMode: 1}, "needs Xen 4.19"},
		{20, xenctrl.CreateDomain{Altp2mMode: 1, Altp2mCount: 10}, "needs Xen 4.21"},
	} {
		v, _ := abi.Release(4, tt.minor)
		m := xentest.New(t, xentest.Config{Version: v})
		_, err := m.Handle().CreateDomain(&tt.d)
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("CreateDomain(%+v) on %v = %v", tt.d, v, err)
		}
	}
}

func TestCPUPools(t *testing.T) {
	onEveryRelease(t, func(t *testing.T, m *xentest.Machine) {
		h := m.Handle()
		pool, err := h.CreateCPUPool(abi.SchedCredit)
		check(t, err)
		check(t, h.RemoveCPU(0, 3))
		check(t, h.AddCPU(pool, 3))
		id, err := h.CreateDomain(&xenctrl.CreateDomain{
			MaxVCPUs: 1, MaxGrantFrames: -1, MaxMaptrackFrames: -1, CPUPool: pool,
		})
		check(t, err)
		if d, _ := m.Domain(id); d.CPUPool != pool {
			t.Errorf("the domain is in pool %d, want %d", d.CPUPool, pool)
		}
		pools, err := h.CPUPools()
		if err != nil || len(pools) != 2 || !pools[1].CPUs.Equal(abi.BitmapOf(3)) || pools[1].Domains != 1 {
			t.Errorf("CPUPools() = %+v, %v", pools, err)
		}
	})
}

// TestCreateInPoolFails holds that before 4.17 a domain that cannot be moved to
// its pool does not stay.
func TestCreateInPoolFails(t *testing.T) {
	v, _ := abi.Release(4, 16)
	m := xentest.New(t, xentest.Config{Version: v})
	_, err := m.Handle().CreateDomain(&xenctrl.CreateDomain{MaxVCPUs: 1, MaxGrantFrames: -1, MaxMaptrackFrames: -1, CPUPool: 7})
	if !errors.Is(err, syscall.ENOENT) || len(m.IDs()) != 0 {
		t.Errorf("CreateDomain = %v, left are %v", err, m.IDs())
	}
}

func TestAffinity(t *testing.T) {
	m := xentest.NewMachine(t, 7)
	hard, soft, err := m.Handle().SetVCPUAffinity(7, 0, abi.BitmapOf(1, 2, 200), abi.BitmapOf(2))
	if err != nil || !hard.Equal(abi.BitmapOf(1, 2)) || !soft.Equal(abi.BitmapOf(2)) {
		t.Errorf("SetVCPUAffinity() = %v, %v, %v", hard.Slice(), soft.Slice(), err)
	}
	hard, _, err = m.Handle().SetVCPUAffinity(7, 0, nil, abi.BitmapOf(0))
	if d, _ := m.Domain(7); err != nil || !d.Hard[0].Equal(abi.BitmapOf(1, 2)) || !d.Soft[0].Equal(abi.BitmapOf(0)) {
		t.Errorf("a nil map changed something: %v, %v, %v", hard, d.Hard, err)
	}
}

func TestVersionTexts(t *testing.T) {
	long := strings.Repeat("console=com1 ", 100)
	for _, tt := range []struct {
		minor int
		want  string
	}{{17, long[:1023]}, {20, long}} {
		v, _ := abi.Release(4, tt.minor)
		m := xentest.New(t, xentest.Config{Version: v, CommandLine: long})
		if got, err := m.Handle().CommandLine(); err != nil || got != tt.want {
			t.Errorf("on %v CommandLine() has %d bytes, want %d, %v", v, len(got), len(tt.want), err)
		}
		if got, err := m.Handle().ExtraVersion(); err != nil || got != ".0-xentest" {
			t.Errorf("ExtraVersion() = %q, %v", got, err)
		}
	}
}

func TestFeatures(t *testing.T) {
	v, _ := abi.Release(4, 16)
	m := xentest.New(t, xentest.Config{Version: v, NoHypfs: true})
	h := m.Handle()
	for f, want := range map[xenctrl.Feature]bool{
		xenctrl.RelaxedMSR: true, xenctrl.GrantVersionLimit: true, xenctrl.PagingMempool: false,
		xenctrl.Altp2mAtCreate: false, xenctrl.Hypfs: false, xenctrl.FLASK: false, xenctrl.AutoTranslated: false,
	} {
		if h.Has(f) != want {
			t.Errorf("Has(%d) = %v on %v", f, !want, v)
		}
	}
	if _, err := h.HypfsList("/"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("HypfsList = %v, want ErrUnsupported", err)
	}
	if _, err := h.LabelSID("system_u:system_r:domU_t"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("LabelSID = %v, want ErrUnsupported", err)
	}
	if _, err := h.DomainState(0); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("DomainState = %v, want ErrUnsupported", err)
	}
}

// TestProbeUnsure holds that "could not tell" is no answer to remember.
func TestProbeUnsure(t *testing.T) {
	m := xentest.NewMachine(t)
	h := m.Handle()
	m.FailOn("hypfs_op/get_version", 0, 1, syscall.EFAULT)
	if _, err := h.Probe(xenctrl.Hypfs); !errors.Is(err, syscall.EFAULT) {
		t.Errorf("Probe() = %v, want EFAULT", err)
	}
	if ok, err := h.Probe(xenctrl.Hypfs); err != nil || !ok {
		t.Errorf("Probe() = %v, %v afterwards", ok, err)
	}
}

func TestPopulateShort(t *testing.T) {
	m := xentest.NewMachine(t, 7) // may own 256 pages
	pfns := make([]xenctrl.PFN, 300)
	n, err := m.Handle().Populate(context.Background(), 7, pfns, 0, 0, nil)
	if n != 256 || err != nil {
		t.Errorf("Populate() = %d, %v, want 256 and no error", n, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if n, err := m.Handle().Populate(ctx, 7, pfns, 0, 0, nil); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("Populate() with a cancelled context = %d, %v", n, err)
	}
}

func TestDestroyRetries(t *testing.T) {
	m := xentest.NewMachine(t, 7)
	m.FailOn("domctl/destroydomain", 0, 3, syscall.EAGAIN)
	check(t, m.Handle().DestroyDomain(context.Background(), 7))
	if len(m.IDs()) != 0 {
		t.Errorf("left are %v", m.IDs())
	}
	m.AddDomain(8)
	m.FailOn("domctl/destroydomain", 0, 1<<30, syscall.EAGAIN)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := m.Handle().DestroyDomain(ctx, 8); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("DestroyDomain() = %v, want the deadline", err)
	}
}

// TestDyingUntilUnmapped holds that a domain whose memory somebody maps stays
// visible as dying.
func TestDyingUntilUnmapped(t *testing.T) {
	m := xentest.NewMachine(t, 7)
	h := m.Handle()
	mfn := make([]xenctrl.MFN, 1)
	if n, err := h.Populate(context.Background(), 7, []xenctrl.PFN{0}, 0, 0, mfn); n != 1 {
		t.Fatal(err)
	}
	mp, err := h.MapForeign(7, []xenctrl.GFN{xenctrl.GFN(mfn[0])}, xenctrl.ProtRead)
	check(t, err)
	check(t, h.DestroyDomain(context.Background(), 7))
	if d, err := h.DomainInfo(7); err != nil || !d.Dying() {
		t.Errorf("DomainInfo() = %+v, %v, want a dying domain", d, err)
	}
	check(t, mp.Close())
	check(t, mp.Close())
	if _, err := h.DomainInfo(7); !errors.Is(err, xenctrl.ErrNoDomain) {
		t.Errorf("DomainInfo() = %v, want ErrNoDomain", err)
	}
	if err := mp.With(func([]byte) error { return nil }); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("With() after Close() = %v", err)
	}
}

func TestStats(t *testing.T) {
	m := xentest.NewMachine(t, 7)
	h := m.Handle()
	for range 3 {
		check(t, h.Pause(7))
	}
	s := h.Stats()
	if s.Hypercalls["domctl/pausedomain"] != 3 || !slices.Contains(s.Names(), "xen_version/0") {
		t.Errorf("Stats() = %v", s.Hypercalls)
	}
	if n, _ := s.Total(); n != uint64(len(m.Calls())) {
		t.Errorf("%d hypercalls counted, %d made", n, len(m.Calls()))
	}
}

func TestConcurrentUse(t *testing.T) {
	m := xentest.NewMachine(t, 7, 8)
	h := m.Handle()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				id := xenctrl.DomID(7 + i%2)
				if d, err := h.DomainInfo(id); err != nil || d.ID != id {
					t.Errorf("DomainInfo(%d) = %d, %v", id, d.ID, err)
				}
				if all, err := h.Domains(); err != nil || len(all) != 3 {
					t.Errorf("Domains() = %d, %v", len(all), err)
				}
				_ = h.Stats()
			}
		})
	}
	wg.Wait()
}

func TestOpenWithoutXen(t *testing.T) {
	if _, err := os.Stat("/dev/xen/privcmd"); err == nil {
		t.Skip("this is a Xen host")
	}
	if _, err := xenctrl.Open(); !errors.Is(err, xenctrl.ErrNotXen) {
		t.Errorf("Open() = %v, want ErrNotXen", err)
	}
}

func TestCloseTwice(t *testing.T) {
	m := xentest.NewMachine(t)
	check(t, m.Handle().Close())
	check(t, m.Handle().Close())
}

// TestEveryCut fails a small build at every hypercall and looks that destroying
// the domain leaves nothing.
func TestEveryCut(t *testing.T) {
	for n := 1; ; n++ {
		m := xentest.New(t, xentest.Config{})
		h := m.Handle()
		free := m.FreeMemory()
		m.FailAt(n, syscall.EIO)
		err := smallBuild(h)
		m.FailAt(0, 0)
		for _, id := range m.IDs() {
			check(t, h.DestroyDomain(context.Background(), id))
		}
		if m.FreeMemory() != free || len(m.IDs()) != 0 || m.Mappings(1) != 0 {
			t.Errorf("cut %d leaves domains %v, %d KiB less, %d mappings", n, m.IDs(), free-m.FreeMemory(), m.Mappings(1))
		}
		if err == nil {
			if n < 7 {
				t.Errorf("the build needs %d calls only", n-1)
			}
			return
		}
		if !errors.Is(err, syscall.EIO) {
			t.Fatalf("cut %d: %v, want the injected error", n, err)
		}
	}
}

func smallBuild(h *xenctrl.Handle) error {
	id, err := h.CreateDomain(&xenctrl.CreateDomain{MaxVCPUs: 1, MaxGrantFrames: -1, MaxMaptrackFrames: -1})
	if err != nil {
		return err
	}
	if err := errors.Join(h.SetMaxVCPUs(id, 1), h.SetMaxMem(id, 64)); err != nil {
		return err
	}
	mfns := make([]xenctrl.MFN, 4)
	n, err := h.Populate(context.Background(), id, []xenctrl.PFN{0, 1, 2, 3}, 0, 0, mfns)
	if err != nil || n != 4 {
		return fmt.Errorf("%d pages: %w", n, err)
	}
	m, err := h.MapForeign(id, []xenctrl.GFN{xenctrl.GFN(mfns[3])}, xenctrl.ProtReadWrite)
	if err != nil {
		return err
	}
	if err := errors.Join(m.With(func(b []byte) error { b[0] = 1; return nil }), m.Close()); err != nil {
		return err
	}
	return h.Unpause(id)
}
