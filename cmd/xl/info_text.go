package main

import (
	"fmt"
	"strings"

	"goxl/domains"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// infoText is what "xl info" prints, in the xl of release r; t is nil without -n,
// features, those of xenstore, without -x.
func infoText(r release, h *domains.HostInfo, t *topologyInfo, features *xenstore.Features) string {
	var b strings.Builder
	line := func(key, format string, args ...any) {
		fmt.Fprintf(&b, "%-23s: "+format+"\n", append([]any{key}, args...)...)
	}
	line("host", "%s", h.NodeName)
	line("release", "%s", h.Release)
	line("version", "%s", h.Version)
	line("machine", "%s", h.Machine)
	physText(r, h, line)
	if t != nil {
		b.WriteString(topologyText(t))
	}
	xenText(h, line)
	if features != nil {
		line("xenstore_features", "0x%08x", uint32(*features))
	}
	line("xend_config_format", "4")
	return b.String()
}

func physText(r release, h *domains.HostInfo, line func(string, string, ...any)) {
	const mib = 1 << (20 - abi.PageShift) // pages
	p := &h.Phys
	line("nr_cpus", "%d", p.CPUs)
	line("max_cpu_id", "%d", p.MaxCPUID)
	line("nr_nodes", "%d", p.Nodes)
	line("cores_per_socket", "%d", p.CoresPerSocket)
	line("threads_per_core", "%d", p.ThreadsPerCore)
	line("cpu_mhz", "%d.%03d", p.CPUKHz/1000, p.CPUKHz%1000)
	var words []string
	for _, w := range p.HWCap {
		words = append(words, fmt.Sprintf("%08x", w))
	}
	line("hw_caps", "%s", strings.Join(words, ":"))
	// Each word brings its own blank, so that none leaves the colon alone.
	line("virt_caps", "%s", strings.TrimPrefix(virtCaps(r, p.Capabilities), " "))
	line("total_memory", "%d", p.TotalPages/mib)
	line("free_memory", "%d", (p.FreePages-p.OutstandingPages)/mib)
	line("sharing_freed_memory", "%d", h.SharingFreed/mib)
	line("sharing_used_memory", "%d", h.SharingUsed/mib)
	line("outstanding_claims", "%d", p.OutstandingPages/mib)
	line("free_cpus", "%d", h.FreeCPUs)
}

// virtCaps are the words for what kinds of guests the host runs, each with a
// blank before it.
func virtCaps(r release, caps uint32) string {
	has := func(c uint32) bool { return caps&c == c }
	var b strings.Builder
	for _, w := range []struct {
		name  string
		on    bool
		since release
	}{
		{"pv", has(abi.CapPV), 0},
		{"hvm", has(abi.CapHVM), 0},
		{"hvm_directio", has(abi.CapHVM | abi.CapDirectIO), 0},
		{"pv_directio", has(abi.CapPV | abi.CapDirectIO), 0},
		{"hap", has(abi.CapHAP), 0},
		{"shadow", has(abi.CapShadow), 0},
		{"iommu_hap_pt_share", has(abi.CapIOMMUSharePT), 0},
		{"vmtrace", has(abi.CapVMTrace), 15},
		{"vpmu", has(abi.CapVPMU), 16},
		{"gnttab-v1", has(abi.CapGrantV1), 16},
		{"gnttab-v2", has(abi.CapGrantV2), 16},
	} {
		if w.on && r >= w.since {
			b.WriteString(" " + w.name)
		}
	}
	return b.String()
}

func xenText(h *domains.HostInfo, line func(string, string, ...any)) {
	line("xen_major", "%d", h.Major)
	line("xen_minor", "%d", h.Minor)
	line("xen_extra", "%s", h.Extra)
	line("xen_version", "%d.%d%s", h.Major, h.Minor, h.Extra)
	line("xen_caps", "%s", h.Capabilities)
	line("xen_scheduler", "%s", schedulerName(h.Scheduler))
	line("xen_pagesize", "%d", h.PageSize)
	line("platform_params", "virt_start=0x%x", h.VirtStart)
	line("xen_changeset", "%s", h.Changeset)
	line("xen_commandline", "%s", h.CommandLine)
	line("cc_compiler", "%s", h.Compile.Compiler)
	line("cc_compile_by", "%s", h.Compile.By)
	line("cc_compile_domain", "%s", h.Compile.Domain)
	line("cc_compile_date", "%s", h.Compile.Date)
	line("build_id", "%s", h.BuildID)
}

// infoLines picks the lines of text that start with prefix and returns what
// stands after the colon of each.
func infoLines(text, prefix string) string {
	var b strings.Builder
	for _, l := range strings.SplitAfter(text, "\n") {
		if i := strings.IndexByte(l, ':'); i >= 0 && strings.HasPrefix(l, prefix) &&
			strings.HasPrefix(l[i+1:], " ") {
			b.WriteString(l[i+2:])
		}
	}
	return b.String()
}
