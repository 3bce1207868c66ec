package xenctrl_test

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"goxl/xenctrl"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
)

// openXen opens the hypervisor that the test runs on.
func openXen(t testing.TB) *xenctrl.Handle {
	t.Helper()
	xentest.NeedXen(t)
	h, err := xenctrl.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// genuine runs the genuine xl and returns what it prints.
func genuine(t *testing.T, args ...string) string {
	t.Helper()
	xl := os.Getenv("GENUINE_XL")
	if xl == "" {
		xl = "xl"
	}
	out, err := exec.Command(xl, args...).Output()
	if err != nil {
		t.Fatalf("genuine xl %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

// field finds "name : value" in the output of xl info.
func field(t *testing.T, out, name string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `\s*: ?(.*)$`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("xl info has no %q", name)
	}
	return strings.TrimRight(m[1], " ")
}

func TestLabVersion(t *testing.T) {
	h := openXen(t)
	out := genuine(t, "info")
	want := field(t, out, "xen_major") + "." + field(t, out, "xen_minor")
	if h.Version().String() != want {
		t.Errorf("Version() = %v, xl info says %s", h.Version(), want)
	}
	for _, tt := range []struct {
		field string
		get   func() (string, error)
	}{
		{"xen_extra", h.ExtraVersion},
		{"xen_caps", h.Capabilities},
		{"xen_changeset", h.Changeset},
		{"xen_commandline", h.CommandLine},
	} {
		got, err := tt.get()
		if err != nil {
			t.Errorf("%s: %v", tt.field, err)
		}
		if want := field(t, out, tt.field); strings.TrimRight(got, " ") != want {
			t.Errorf("%s = %q, xl info says %q", tt.field, got, want)
		}
	}
	ci, err := h.CompileInfo()
	if err != nil || ci.Compiler != field(t, out, "cc_compiler") || ci.Date != field(t, out, "cc_compile_date") {
		t.Errorf("CompileInfo() = %+v, %v", ci, err)
	}
	size, err := h.PageSize()
	if err != nil || strconv.Itoa(size) != field(t, out, "xen_pagesize") {
		t.Errorf("PageSize() = %d, %v", size, err)
	}
	virt, err := h.PlatformParams()
	if err != nil || "virt_start=0x"+strconv.FormatUint(virt, 16) != field(t, out, "platform_params") {
		t.Errorf("PlatformParams() = %#x, %v; xl info says %q", virt, err, field(t, out, "platform_params"))
	}
	id, err := h.BuildID()
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("BuildID() = %x, %v", id, err)
	}
	t.Logf("Xen %+v, build id %x", h.Version(), id)
}

func TestLabPhysInfo(t *testing.T) {
	h := openXen(t)
	out := genuine(t, "info")
	p, err := h.PhysInfo()
	if err != nil {
		t.Fatal(err)
	}
	num := func(name string) int64 {
		n, err := strconv.ParseInt(field(t, out, name), 0, 64)
		if err != nil {
			t.Errorf("xl info %s: %v", name, err)
		}
		return n
	}
	for _, tt := range []struct {
		field     string
		got, slop int64
	}{
		{"nr_cpus", int64(p.CPUs), 0},
		{"max_cpu_id", int64(p.MaxCPUID), 0},
		{"nr_nodes", int64(p.Nodes), 0},
		{"cores_per_socket", int64(p.CoresPerSocket), 0},
		{"threads_per_core", int64(p.ThreadsPerCore), 0},
		{"total_memory", int64(p.TotalPages.KiB() >> 10), 0},
		{"free_memory", int64(p.FreePages.KiB() >> 10), 1024}, // others work on the same host
	} {
		if want := num(tt.field); tt.got < want-tt.slop || tt.got > want+tt.slop {
			t.Errorf("%s = %d, xl info says %d", tt.field, tt.got, want)
		}
	}
	if mhz, _ := strconv.ParseFloat(field(t, out, "cpu_mhz"), 64); int64(p.CPUKHz)/1000 != int64(mhz) {
		t.Errorf("%d kHz, xl info says %s MHz", p.CPUKHz, field(t, out, "cpu_mhz"))
	}
	var words []string
	for _, w := range p.HWCap {
		words = append(words, strconv.FormatUint(1<<32|uint64(w), 16)[1:])
	}
	if got := strings.Join(words, ":"); got != field(t, out, "hw_caps") {
		t.Errorf("hw_caps = %s, xl info says %s", got, field(t, out, "hw_caps"))
	}
	if p.Capabilities&abi.CapPV == 0 {
		t.Errorf("capabilities %#x lack PV", p.Capabilities)
	}
}

func TestLabTopology(t *testing.T) {
	h := openXen(t)
	p, err := h.PhysInfo()
	if err != nil {
		t.Fatal(err)
	}
	cpus, err := h.CPUTopology()
	if err != nil || len(cpus) != int(p.CPUs) {
		t.Errorf("CPUTopology() = %v, %v; want %d CPUs", cpus, err, p.CPUs)
	}
	nodes, err := h.NUMAInfo()
	if err != nil || len(nodes.Nodes) != int(p.Nodes) || nodes.Nodes[0].Size == 0 || nodes.Distance[0] != 10 {
		t.Errorf("NUMAInfo() = %+v, %v", nodes, err)
	}
	pci, err := h.PCITopology([]abi.PCIDevice{{}, {Bus: 0xfe, DevFn: 0xff}})
	if err != nil || len(pci) != 2 || pci[1] != abi.InvalidDevice {
		t.Errorf("PCITopology() = %#x, %v", pci, err)
	}
	idle, err := h.CPUInfo()
	if err != nil || len(idle) != int(p.CPUs) || idle[0] == 0 {
		t.Errorf("CPUInfo() = %v, %v", idle, err)
	}
	heap, err := h.AvailHeap(0, 0, -1)
	if err != nil || heap < 64<<20 {
		t.Errorf("AvailHeap() = %d, %v", heap, err)
	}
	if e820, err := h.MachineMemoryMap(); err != nil || len(e820) < 2 {
		t.Errorf("MachineMemoryMap() = %v, %v", e820, err)
	}
	if top, err := h.MaximumRAMPage(); err != nil || top == 0 {
		t.Errorf("MaximumRAMPage() = %d, %v", top, err)
	}
	if frames, err := h.MachphysFrames(); err != nil || len(frames) == 0 {
		t.Errorf("MachphysFrames() = %v, %v", frames, err)
	}
	if _, err := h.HostReservedMemory(nil); err != nil {
		t.Errorf("HostReservedMemory: %v", err)
	}
	for _, f := range []func() (abi.Pages, error){h.SharingFreedPages, h.SharingUsedPages} {
		if _, err := f(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("sharing pages: %v", err)
		}
	}
}

func TestLabPoolsAndScheduler(t *testing.T) {
	h := openXen(t)
	pools, err := h.CPUPools()
	if err != nil || len(pools) == 0 || pools[0].CPUs.Empty() {
		t.Fatalf("CPUPools() = %+v, %v", pools, err)
	}
	sched, err := h.SchedID()
	if err != nil || sched != pools[0].Sched {
		t.Errorf("SchedID() = %d, %v; pool 0 has %d", sched, err, pools[0].Sched)
	}
	if _, err := h.PoolSchedParams(0, sched); err != nil {
		t.Errorf("PoolSchedParams: %v", err)
	}
	if p, err := h.SchedParams(0, sched); err != nil || p.Weight == 0 {
		t.Errorf("SchedParams(0) = %+v, %v", p, err)
	}
	if m, err := h.FreeCPUs(); err != nil {
		t.Errorf("FreeCPUs() = %v, %v", m, err)
	}
}

func TestLabConsole(t *testing.T) {
	h := openXen(t)
	out, err := h.ReadConsole(false)
	if err != nil || !strings.Contains(string(out), "(XEN)") {
		t.Fatalf("ReadConsole() = %d bytes, %v", len(out), err)
	}
	var index uint32
	for b := []byte{0}; len(b) > 0; {
		if b, index, err = h.FollowConsole(index); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.SendDebugKeys("h"); err != nil {
		t.Fatal(err)
	}
	after, _, err := h.FollowConsole(index)
	if err != nil || !strings.Contains(string(after), "'h' pressed") {
		t.Errorf("after key h the console has %q, %v", after, err)
	}
}

func TestLabHypfs(t *testing.T) {
	h := openXen(t)
	ok, err := h.Probe(xenctrl.Hypfs)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		t.Logf("this Xen has no hypfs")
		return
	}
	list, err := h.HypfsList("/")
	if err != nil || len(list) == 0 {
		t.Fatalf("HypfsList(/) = %v, %v", list, err)
	}
	names := map[string]bool{}
	for _, e := range list {
		names[e.Name] = true
	}
	if !names["params"] || !names["buildinfo"] {
		t.Errorf("HypfsList(/) = %v", list)
	}
	if _, err := h.HypfsList("/buildinfo"); err != nil {
		t.Errorf("HypfsList(/buildinfo): %v", err)
	}
}

func TestLabDomains(t *testing.T) {
	h := openXen(t)
	all, err := h.Domains()
	if err != nil || len(all) == 0 || all[0].ID != 0 {
		t.Fatalf("Domains() = %+v, %v", all, err)
	}
	d, err := h.DomainInfo(0)
	if err != nil || d.OnlineVCPUs == 0 || d.Pages == 0 || d.CPUTime == 0 || d.HVM() {
		t.Errorf("DomainInfo(0) = %+v, %v", d, err)
	}
	if _, err := h.DomainInfo(0x7fe0); !errors.Is(err, xenctrl.ErrNoDomain) {
		t.Errorf("DomainInfo(0x7fe0): %v, want ErrNoDomain", err)
	}
	if v, err := h.VCPUInfo(0, 0); err != nil || !v.Online || v.CPUTime == 0 {
		t.Errorf("VCPUInfo(0, 0) = %+v, %v", v, err)
	}
	if err := h.SetMaxMem(0x7fe0, 1024); !errors.Is(err, xenctrl.ErrNoDomain) {
		t.Errorf("SetMaxMem(0x7fe0): %v, want ErrNoDomain", err)
	}
	hard, soft, err := h.VCPUAffinity(0, 0)
	if err != nil || hard.Empty() || soft.Empty() {
		t.Errorf("VCPUAffinity(0, 0) = %v, %v, %v", hard, soft, err)
	}
	if n, err := h.NodeAffinity(0); err != nil || !n.Test(0) {
		t.Errorf("NodeAffinity(0) = %v, %v", n, err)
	}
}

func TestLabSystemPolicy(t *testing.T) {
	h := openXen(t)
	for _, index := range []uint32{abi.PolicyHost, abi.PolicyPVDefault, abi.PolicyHVMDefault, abi.PolicyPVMax} {
		p, err := h.SystemCPUPolicy(index)
		if errors.Is(err, errors.ErrUnsupported) {
			t.Logf("policy %d: %v", index, err)
			continue
		}
		if err != nil || len(p.Leaves) < 10 || p.Leaves[0].B == 0 {
			t.Errorf("SystemCPUPolicy(%d): %d leaves, %d MSRs, %v", index, len(p.Leaves), len(p.MSRs), err)
		}
	}
	fs, err := h.CPUFeatureSet(abi.FeatureSetHost)
	if err != nil || len(fs) < 10 || fs[0] == 0 {
		t.Errorf("CPUFeatureSet(host) = %#x, %v", fs, err)
	}
}
