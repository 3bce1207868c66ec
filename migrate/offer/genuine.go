package offer

import (
	"fmt"
	"strconv"
	"strings"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/domains/policy"
	"goxl/xenctrl/abi"
)

// CompareGenuine is what speaks against moving a guest to a host of which only its
// "xl info" is known, and what of it could not be checked.
func CompareGenuine(m *domains.Manager, q *Question, spec *config.Spec, info string) (list []Finding) {
	fields := infoFields(info)
	say := func(about string, blocks bool, format string, args ...any) {
		list = append(list, Finding{about, blocks, fmt.Sprintf(format, args...)})
	}
	minor, err := strconv.Atoi(fields["xen_minor"])
	switch {
	case err != nil:
		say("xen", false, "not compared: its xl info does not say which Xen it is")
	case minor < q.Guest.XenMinor:
		list = append(list, older(fields["xen_version"], m))
	}
	genuineMemory(m, spec, fields, say)
	genuineKind(spec, fields, say)
	genuineCPU(q, fields, say)
	var disks, bridges []string
	for i := range spec.Disks {
		if d := &spec.Disks[i]; d.Path.Value() != "" {
			disks = append(disks, fmt.Sprintf("%s (%s)", d.VDev.Value(), d.Path.Value()))
		}
	}
	for i := range spec.NICs {
		bridges = append(bridges, spec.NICs[i].Bridge.Or("xenbr0"))
	}
	if len(disks) > 0 {
		say("disk", false, "not checked, the other side is the genuine xl: that it sees the same %s", words(disks))
	}
	if len(bridges) > 0 {
		say("bridge", false, "not checked: that it has %s", words(bridges))
	}
	return list
}

type sayer func(about string, blocks bool, format string, args ...any)

func genuineMemory(m *domains.Manager, spec *config.Spec, fields map[string]string, say sayer) {
	b := &spec.BInfo
	need := policy.NeedMemory(policy.Memory{Target: b.TargetMem.Value(), Container: spec.CInfo.Type != config.TypePV,
		Paging: policy.PagingMemory(m.Xen().Version(), b.MaxMem.Value(), max(b.MaxVCPUs, 1), spec.CInfo.Type != config.TypePV, spec.CInfo.Type != config.TypePV)})
	free, err := strconv.ParseUint(fields["free_memory"], 10, 40)
	switch {
	case err != nil:
		say("memory", false, "not compared: its xl info does not say how much is free")
	case abi.KiB(free)<<10 < need:
		say("memory", false, "%d MiB are free there and the guest needs %d: its domain 0 has to give the rest", free, need>>10)
	}
}

func genuineKind(spec *config.Spec, fields map[string]string, say sayer) {
	caps, ok := fields["virt_caps"]
	want := map[config.DomainType]string{config.TypePV: "pv", config.TypePVH: "hvm"}[spec.CInfo.Type]
	if !ok || want == "" {
		return
	}
	for _, c := range strings.Fields(caps) {
		if c == want {
			return
		}
	}
	say("type", true, "its Xen runs no such guest: virt_caps says %q, without %s", caps, want)
}

// genuineCPU compares what hw_caps has. It is of the host: what its guests can have
// may be less, and is not to be known.
func genuineCPU(q *Question, fields map[string]string, say sayer) {
	var words8 [8]uint32
	parts := strings.Split(fields["hw_caps"], ":")
	for i := range words8 {
		if len(parts) != len(words8) {
			say("cpu", false, "not compared: its xl info does not say what its CPU has")
			return
		}
		v, err := strconv.ParseUint(parts[i], 16, 32)
		if err != nil {
			say("cpu", false, "not compared: hw_caps of its xl info is %q", fields["hw_caps"])
			return
		}
		words8[i] = uint32(v)
	}
	guest := abi.CPUPolicy{Leaves: q.Guest.Leaves}
	if m := policy.Fit(guest, policy.HostWords(words8, guest)); len(m.Features) > 0 {
		say("cpu", false, "the host there does not show %s, which the guest has: it may miss that, or get it from Xen", words(m.Features))
	}
	say("cpu", false, "checked by hw_caps of its xl info only: leaf 1, 7 and 0x80000001 of the host itself")
}

// infoFields are the lines of xl info.
func infoFields(text string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			fields[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return fields
}
