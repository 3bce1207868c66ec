package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goxl/domains"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

func exampleInfo() *domains.HostInfo {
	return &domains.HostInfo{
		NodeName: "host1", Release: "6.1.0-13-amd64", Version: "#1 SMP", Machine: "x86_64",
		Phys: abi.PhysInfo{CPUs: 4, MaxCPUID: 7, Nodes: 1, CoresPerSocket: 4, ThreadsPerCore: 1,
			CPUKHz: 2400007, HWCap: [8]uint32{0x178bf3ff, 0xfffa3203, 0x2c100800, 1, 0xf, 0, 0, 0},
			Capabilities: abi.CapPV | abi.CapHVM | abi.CapDirectIO | abi.CapHAP | abi.CapShadow | abi.CapGrantV1 | abi.CapGrantV2,
			TotalPages:   2096998, FreePages: 1024, OutstandingPages: 512},
		SharingFreed: 256, SharingUsed: 512,
		Major: 4, Minor: 17, Extra: ".3", Capabilities: "xen-3.0-x86_64 hvm-3.0-x86_64 ", Scheduler: abi.SchedCredit2,
		PageSize: 4096, VirtStart: 0xffff800000000000, CommandLine: "placeholder dom0_mem=2G",
		Compile: abi.CompileInfo{Compiler: "gcc", By: "pkg", Domain: "debian.org", Date: "today"}, BuildID: "abcd",
	}
}

const exampleInfoText = `host                   : host1
release                : 6.1.0-13-amd64
version                : #1 SMP
machine                : x86_64
nr_cpus                : 4
max_cpu_id             : 7
nr_nodes               : 1
cores_per_socket       : 4
threads_per_core       : 1
cpu_mhz                : 2400.007
hw_caps                : 178bf3ff:fffa3203:2c100800:00000001:0000000f:00000000:00000000:00000000
virt_caps              : pv hvm hvm_directio pv_directio hap shadow gnttab-v1 gnttab-v2
total_memory           : 8191
free_memory            : 2
sharing_freed_memory   : 1
sharing_used_memory    : 2
outstanding_claims     : 2
free_cpus              : 0
xen_major              : 4
xen_minor              : 17
xen_extra              : .3
xen_version            : 4.17.3
xen_caps               : xen-3.0-x86_64 hvm-3.0-x86_64 ` + `
xen_scheduler          : credit2
xen_pagesize           : 4096
platform_params        : virt_start=0xffff800000000000
xen_changeset          : ` + `
xen_commandline        : placeholder dom0_mem=2G
cc_compiler            : gcc
cc_compile_by          : pkg
cc_compile_domain      : debian.org
cc_compile_date        : today
build_id               : abcd
xend_config_format     : 4
`

func TestInfoText(t *testing.T) {
	if d := cmp.Diff(exampleInfoText, infoText(17, exampleInfo(), nil, nil)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestInfoOfOldRelease(t *testing.T) {
	if got, want := infoLines(infoText(14, exampleInfo(), nil, nil), "virt_caps"),
		"pv hvm hvm_directio pv_directio hap shadow\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestInfoWithXenstore(t *testing.T) {
	features := xenstore.Features(3)
	text := infoText(21, exampleInfo(), nil, &features)
	if got, want := text[len(text)-72:], "xenstore_features      : 0x00000003\nxend_config_format     : 4\n"; !strings.HasSuffix(got, want) {
		t.Errorf("ends in %q, want %q", got, want)
	}
}

func TestInfoLines(t *testing.T) {
	text := infoText(17, exampleInfo(), nil, nil)
	for prefix, want := range map[string]string{
		"host": "host1\n", "xen_major": "4\n", "cc_compile_d": "debian.org\ntoday\n", "nothing": "",
		"xen_changeset": "\n", "free_": "2\n0\n", "host                   : h": "host1\n",
	} {
		if got := infoLines(text, prefix); got != want {
			t.Errorf("%q: %q, want %q", prefix, got, want)
		}
	}
}

func TestTopologyText(t *testing.T) {
	got := topologyText(&topologyInfo{
		cpus: []abi.CPUTopology{{Core: 0, Socket: 0, Node: 0}, {Core: abi.InvalidCore}, {Core: 1, Socket: 1, Node: 1}},
		devices: []deviceNode{{abi.PCIDevice{Bus: 0, DevFn: 0x1a}, 1, true},
			{abi.PCIDevice{Bus: 3, DevFn: 0}, 0, false}},
		nodes: []nodeInfo{{abi.NodeMemory{Size: 1 << 30, Free: 1 << 20}, []uint32{10, 20}},
			{abi.NodeMemory{Size: abi.InvalidMemSize}, nil}},
	})
	want := `cpu_topology           :
cpu:    core    socket     node
  0:       0        0        0
  2:       1        1        1
device topology        :
device           node
0000:00:03.2      1
numa_info              :
node:    memsize    memfree    distances
   0:      1024          1      10,20
`
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	got = topologyText(&topologyInfo{})
	want = `cpu_topology           :
cpu:    core    socket     node
device topology        :
device           node
No device topology data available
numa_info              :
node:    memsize    memfree    distances
`
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
