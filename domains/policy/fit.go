package policy

import (
	"fmt"
	"strings"

	"goxl/domains/config"
	"goxl/xenctrl/abi"
)

// Misfit is what a guest's CPU has that another host cannot offer.
type Misfit struct {
	Features []string // by the names of cpuid=
	Leaves   []string // how far they go, where Xen refuses more: "0xd of leaf 0x0, 0x7 there"
}

// Fit compares the CPU that a guest is used to with the most that a host can offer
// to its kind: abi.PolicyPVMax or abi.PolicyHVMMax. Xen itself refuses only leaves
// that go too far, and takes features away in silence, which a running guest does
// not notice until it uses one.
func Fit(guest, most abi.CPUPolicy) (m Misfit) {
	m.Features = config.FeatureNames(func(n, subleaf uint32, reg int) uint32 {
		missing := uint32(0)
		if l := leaf(&guest, n, subleaf); l != nil {
			missing = *register(l, reg)
		}
		if l := leaf(&most, n, subleaf); l != nil {
			missing &^= *register(l, reg)
		}
		if n == 0x80000001 && reg == config.EDX {
			missing &^= shared1D
		}
		for _, f := range notOffered() {
			if f.leaf == n && f.subleaf == subleaf && f.reg == reg {
				missing &^= 1 << f.bit
			}
		}
		return missing
	})
	for _, n := range []struct{ leaf, subleaf uint32 }{{0, abi.NoSubleaf}, {7, 0}, {0x80000000, abi.NoSubleaf}} {
		have, there := leaf(&guest, n.leaf, n.subleaf), leaf(&most, n.leaf, n.subleaf)
		if have != nil && there != nil && have.A > there.A {
			m.Leaves = append(m.Leaves, fmt.Sprintf("%#x of leaf %#x, %#x there", have.A, n.leaf, there.A))
		}
	}
	return m
}

// shared1D are the bits of leaf 0x80000001 that AMD repeats from leaf 1.
// Source: cpuid.h, CPUID_COMMON_1D_FEATURES.
const shared1D = 0x0183f3ff

// notOffered are bits that Xen or the toolstack makes up, for each guest anew.
func notOffered() []feature {
	return []feature{featHTT, featCmpLegacy, f1c(21), f1c(27), f1c(31), f1d(9), f7c(4)} // x2APIC, OSXSAVE, hypervisor, APIC, OSPKE
}

// HostWords is the policy that stands for the hw_caps of xl info: eight registers, of
// which the rest is taken from like, so that it compares as equal.
// Source: cpufeatureset.h, the first words of a featureset.
func HostWords(words [8]uint32, like abi.CPUPolicy) abi.CPUPolicy {
	p := abi.CPUPolicy{Leaves: append([]abi.CPUIDLeaf(nil), like.Leaves...)}
	for i, f := range [8]feature{f1d(0), f1c(0), fed(0), fec(0), fda(0), f7b(0), f7c(0), featITSC} {
		if l := leaf(&p, f.leaf, f.subleaf); l != nil {
			*register(l, f.reg) = words[i]
		}
	}
	return p
}

// Empty reports whether there is nothing.
func (m Misfit) Empty() bool { return len(m.Features)+len(m.Leaves) == 0 }

// CPUID is the setting that has a guest do without, from its next start on.
func (m Misfit) CPUID() string {
	var b strings.Builder
	b.WriteString(`cpuid = "host`)
	for _, f := range m.Features {
		if !strings.Contains(f, " ") {
			b.WriteString("," + f + "=0")
		}
	}
	return b.String() + `"`
}
