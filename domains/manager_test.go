package domains

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"goxl/domains/config"
	"goxl/domains/device"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
)

func TestFind(t *testing.T) {
	w := newWorld(t, xentest.Config{})
	for _, tt := range []struct {
		in   string
		id   abi.DomID
		code Code
	}{
		{"backend", 5, ""}, {"Domain-0", 0, ""}, {"0", 0, ""}, {"5", 5, ""},
		{"77", 77, ""}, // nobody checks that it exists
		{"99999", abi.DomInvalid, ""},
		{"nobody", 0, NoName}, {"Backend", 0, NoName}, {"-1", 0, NoName}, {"", 0, NoName},
	} {
		id, err := w.m.Find(t.Context(), tt.in)
		if id != tt.id || CodeOf(err) != string(tt.code) {
			t.Errorf("Find(%q) = %d, %v; want %d, %q", tt.in, id, err, tt.id, tt.code)
		}
	}
	if _, err := w.m.Info(t.Context(), 77); !errors.Is(err, NoDomain) || RCOf(err) != -21 {
		t.Errorf("Info of a domain that is not there: %v", err)
	}
}

// TestKernelCacheIsSwitchedOff by xl.conf, and a place that the caller names comes first.
func TestKernelCacheIsSwitchedOff(t *testing.T) {
	w := newWorld(t, xentest.Config{})
	conf := config.DefaultConf()
	conf.KernelCache = config.Some("off")
	for _, tt := range []struct{ given, want string }{{"", ""}, {"/elsewhere", "/elsewhere"}} {
		m, err := Open(t.Context(), Options{Xen: w.xen.Handle(), Store: w.m.Store(), Host: w.host, Conf: conf, Paths: Paths{KernelCache: tt.given}})
		if err != nil {
			t.Fatal(err)
		}
		if got := m.cacheOptions().Dir; got != tt.want {
			t.Errorf("given %q: kernels are kept in %q, want %q", tt.given, got, tt.want)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestRename(t *testing.T) {
	w := newWorld(t, xentest.Config{})
	id := w.mustCreate(w.spec(config.TypePV), CreateOptions{})
	ctx := t.Context()
	if err := w.m.Rename(ctx, id, "backend"); !errors.Is(err, NameTaken) {
		t.Errorf("a name that is taken: %v", err)
	}
	if err := w.m.Rename(ctx, id, "other"); err != nil {
		t.Fatal(err)
	}
	if err := w.m.Rename(ctx, id, "other"); err != nil {
		t.Errorf("its own name: %v", err)
	}
	d, err := w.m.Info(ctx, id)
	if err != nil || d.Name != "other" || w.srv.Dump()["/vm/"+d.UUID.String()+"/name"] != "other" {
		t.Errorf("%+v, %v", d, err)
	}
	if s, err := w.m.ConfigOf(ctx, id); err != nil || s.CInfo.Name.Value() != "other" {
		t.Errorf("configuration: %v", err)
	}
}

func TestMemory(t *testing.T) {
	w := newWorld(t, xentest.Config{})
	ctx := t.Context()
	s := w.spec(config.TypePV)
	s.BInfo.MaxMem = config.Some(abi.KiB(32 << 10))
	id := w.mustCreate(s, CreateOptions{})
	node := func(name string) string { return w.srv.Dump()[domainPath(id)+"/memory/"+name] }
	if err := w.m.SetMem(ctx, id, 24<<10); err != nil {
		t.Fatal(err)
	}
	if got := w.xen.MaxMem(id); got != 25<<10 || node("target") != "24576" {
		t.Errorf("Xen's limit %d KiB, target %s", got, node("target"))
	}
	if err := w.m.SetMem(ctx, id, 33<<10); !errors.Is(err, OutOfRange) || node("target") != "24576" {
		t.Errorf("above the maximum: %v, target %s", err, node("target"))
	}
	if err := w.m.SetMaxMem(ctx, id, 8<<10); !errors.Is(err, OutOfRange) {
		t.Errorf("a maximum below the target: %v", err)
	}
	if err := w.m.SetMaxMem(ctx, id, 40<<10); err != nil || node("static-max") != "40960" {
		t.Errorf("%v, static-max %s", err, node("static-max"))
	}
	c, err := w.m.ConfigOf(ctx, id)
	if err != nil || c.BInfo.TargetMem.Value() != 24<<10 || c.BInfo.MaxMem.Value() != 40<<10 {
		t.Errorf("configuration: %v, %v", c.BInfo.TargetMem, err)
	}
}

func TestVCPUs(t *testing.T) {
	w := newWorld(t, xentest.Config{})
	ctx := t.Context()
	s := w.spec(config.TypePVH)
	s.BInfo.MaxVCPUs = 3
	id := w.mustCreate(s, CreateOptions{})
	for n, want := range map[int]Code{0: OutOfRange, 4: OutOfRange, 2: ""} {
		if err := w.m.SetVCPUs(ctx, id, n); CodeOf(err) != string(want) {
			t.Errorf("SetVCPUs(%d): %v", n, err)
		}
	}
	c, err := w.m.ConfigOf(ctx, id)
	if err != nil || c.BInfo.AvailVCPUs.Count() != 2 {
		t.Errorf("%d vcpus, %v", c.BInfo.AvailVCPUs.Count(), err)
	}
	if err := w.m.PinVCPU(ctx, id, AllVCPUs, abi.BitmapOf(1), abi.BitmapOf(2), false); err != nil {
		t.Fatal(err)
	}
	list, err := w.m.VCPUs(ctx, id)
	if err != nil || len(list) != 3 || !list[2].Hard.Equal(abi.BitmapOf(1)) || !list[2].Soft.Equal(abi.BitmapOf(2)) {
		t.Errorf("%+v, %v", list, err)
	}
}

// A guest acknowledges by emptying the node; one that does not is told from one
// that cannot be asked in time by the caller's context.
func TestShutdownRequest(t *testing.T) {
	w := newWorld(t, xentest.Config{})
	id := w.mustCreate(w.spec(config.TypePVH), CreateOptions{})
	path := domainPath(id) + "/control/shutdown"
	go func() {
		w.m.store.Await(t.Context(), path, func(v string, _ bool) bool { return v == "reboot" })
		w.m.store.Write(t.Context(), path, "")
	}()
	if err := w.m.Shutdown(t.Context(), id, AskReboot); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := w.m.Shutdown(ctx, id, AskPoweroff); !errors.Is(err, Interrupted) {
		t.Errorf("not acknowledged: %v", err)
	}
}

func TestWatch(t *testing.T) {
	w := newWorld(t, xentest.Config{})
	watch, err := w.m.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close()
	next := func(kind EventKind, id abi.DomID) {
		t.Helper()
		select {
		case e := <-watch.Events():
			if e.Kind != kind || e.ID != id {
				t.Errorf("event %+v, want kind %d of domain %d", e, kind, id)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("no event, want kind %d of domain %d", kind, id)
		}
	}
	// The first look must have been before the creation.
	w.xen.Shutdown(backendDom, abi.ShutdownCrash)
	w.srv.Shutdown(backendDom)
	next(ShutDown, backendDom)
	id := w.mustCreate(w.spec(config.TypePVH), CreateOptions{})
	next(Created, id)
	w.xen.Shutdown(id, abi.ShutdownReboot)
	w.srv.Shutdown(id)
	next(ShutDown, id)
	one, err := w.m.Watch(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	if e := <-one.Events(); e.Kind != ShutDown || e.Reason != Reboot {
		t.Errorf("what happened before the watch: %+v", e)
	}
	if err := w.m.Destroy(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	w.srv.Destroy(id)
	next(Destroyed, id)
	if e := <-one.Events(); e.Kind != Destroyed {
		t.Errorf("%+v", e)
	}
	if _, more := <-one.Events(); more || one.Err() != nil {
		t.Errorf("the watch on a domain that is gone does not end: %v", one.Err())
	}
}

// The stored configuration follows a hot-plug, and forgets what was detached.
func TestHotplug(t *testing.T) {
	w := newWorld(t, xentest.Config{})
	ctx := t.Context()
	id := w.mustCreate(w.spec(config.TypePV), CreateOptions{})
	disk := config.Disk{Backend: config.Backend{DomID: backendDom}, Path: config.Some("/dev/y"), VDev: config.Some("xvdb"), Format: config.FormatRaw, ReadWrite: 1}
	nic := config.NIC{Backend: config.Backend{DomID: backendDom}, Bridge: config.Some("br1")}
	if err := w.m.AttachDisk(ctx, id, &disk); err != nil {
		t.Fatal(err)
	}
	if err := w.m.AttachNIC(ctx, id, &nic); err != nil {
		t.Fatal(err)
	}
	if err := w.m.AttachDisk(ctx, id, &disk); !errors.Is(err, DeviceExists) || RCOf(err) != -17 {
		t.Errorf("attached twice: %v", err)
	}
	s, err := w.m.ConfigOf(ctx, id)
	if err != nil || len(s.Disks) != 2 || len(s.NICs) != 2 || s.NICs[1].DevID.Or(-1) != 1 || s.NICs[1].MAC == (config.MAC{}) || s.NICs[1].Bridge.Value() != "br1" {
		t.Fatalf("%+v, %v", s.NICs, err)
	}
	if err := w.m.DetachDisk(ctx, id, "xvdb", device.Safe); err != nil {
		t.Error(err)
	}
	if err := w.m.DetachNIC(ctx, id, "1", device.Auto); err != nil {
		t.Error(err)
	}
	if err := w.m.DetachDisk(ctx, id, "xvdb", device.Safe); !errors.Is(err, NoDevice) {
		t.Errorf("detached twice: %v", err)
	}
	if s, err = w.m.ConfigOf(ctx, id); err != nil || len(s.Disks) != 1 || len(s.NICs) != 1 {
		t.Errorf("%d disks, %d interfaces, %v", len(s.Disks), len(s.NICs), err)
	}
	if s, err = w.m.StoredConfig(ctx, id); err != nil || len(s.Disks) != 2 {
		t.Errorf("the stored configuration has %d disks, as libxl keeps both: %v", len(s.Disks), err)
	}
	if err := w.m.Destroy(ctx, id); err != nil {
		t.Error(err)
	}
	w.nothingLeft()
}

func TestUpdateConfig(t *testing.T) {
	w := newWorld(t, xentest.Config{})
	id := w.mustCreate(w.spec(config.TypePVH), CreateOptions{})
	if err := w.m.UpdateConfig(t.Context(), id, []byte("memory=64")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"memory=64", ""} {
		if got, err := w.m.TakeUpdate(t.Context(), id); err != nil || string(got) != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	if err := w.m.UpdateConfig(t.Context(), 77, nil); !errors.Is(err, NoDomain) {
		t.Errorf("a domain that is not there: %v", err)
	}
}

func TestDestroyRefuses(t *testing.T) {
	w := newWorld(t, xentest.Config{})
	if err := w.m.Destroy(t.Context(), 0); !errors.Is(err, Protected) {
		t.Errorf("domain 0: %v", err)
	}
	if err := w.m.Destroy(t.Context(), 77); !errors.Is(err, NoDomain) || RCOf(err) != -21 {
		t.Errorf("a domain that is not there: %v", err)
	}
	id := w.mustCreate(w.spec(config.TypePVH), CreateOptions{})
	w.xen.FailOn("domctl/pausedomain", 0, 1, 1)
	if err := w.m.Destroy(t.Context(), id); !errors.Is(err, Leftovers) || RCOf(err) != 0 {
		t.Errorf("a step that failed: %v", err)
	}
	w.nothingLeft()
}

func TestShortageText(t *testing.T) {
	s := &Shortage{Need: 300 << 10, Free: 100<<10 + 512, Givers: []Giver{{Name: "Domain-0", Has: 1024 << 10, Spare: 896 << 10, Advice: "xl mem-set 0 824m"}}}
	want := "not enough memory: 100 MiB free, 300 MiB needed, 200 MiB short; could give: Domain-0 up to 896 of its 1024 MiB (xl mem-set 0 824m)"
	if got := s.Error(); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestAutoballoon(t *testing.T) {
	w := newWorld(t, xentest.Config{CommandLine: "none"})
	if auto, err := w.m.autoballoon(); err != nil || !auto {
		t.Errorf("%v, %v", auto, err)
	}
	// Without a fixed dom0 the stored configuration has the defaults, as with xl.
	if err := w.m.store.Write(t.Context(), "/local/domain/0/memory/target", "1048576"); err != nil {
		t.Fatal(err)
	}
	id := w.mustCreate(w.spec(config.TypePVH), CreateOptions{})
	s, err := w.m.StoredConfig(t.Context(), id)
	if err != nil || s.CInfo.HAP != config.True || s.BInfo.EventChannels != 1023 {
		t.Errorf("stored: %+v, %v", s, err)
	}
}

func TestErrorText(t *testing.T) {
	err := error(&Error{Kind: NameTaken, Op: "create web1", Err: errors.New("domain 3 has it"), Hint: "choose another"})
	if got := err.Error(); got != "create web1: domain 3 has it (choose another)" {
		t.Error(got)
	}
	if got := (&Error{Kind: NoPVControl, Op: "x"}).Error(); got != "x: no pv control" {
		t.Error(got)
	}
	if CodeOf(errors.New("x")) != "failed" || RCOf(errors.New("x")) != -3 || CodeOf(nil) != "" || RCOf(nil) != 0 {
		t.Error("errors without a code")
	}
	if !strings.Contains(CodeOf(err), "name-taken") {
		t.Error(CodeOf(err))
	}
}
