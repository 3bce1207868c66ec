package policy

import (
	"errors"
	"fmt"
	"slices"

	"goxl/domains/config"
	"goxl/xenctrl/abi"
)

// ErrPolicy is matched when an edit of the CPU policy makes no sense.
var ErrPolicy = errors.New("cpu policy")

// CPUs are the policies of the running Xen that a guest's policy is made from.
type CPUs struct {
	Host    abi.CPUPolicy // index abi.PolicyHost
	Default abi.CPUPolicy // what a guest of this kind gets: abi.PolicyPVDefault or abi.PolicyHVMDefault
}

// Traits are the properties of a guest that show in its CPUID.
type Traits struct {
	Container    bool // PVH or HVM, as opposed to PV
	InvariantTSC bool // never migrates, or its TSC is always emulated
	NestedVirt   bool
	NoPAE        bool // HVM with pae=0
}

// CPU returns the policy of a new guest: the default of its kind, changed as the
// traits and the topology of its vcpus ask, then by the user's edits. What the
// edits take away takes along what depends on it. The policy has MSRs only when
// edits name one: Xen keeps those that it is not told.
//
// Sources: xg_cpuid_x86.c, xc_cpuid_apply_policy and xc_cpuid_xend_policy.
func CPU(c CPUs, t Traits, edits config.CPUPolicy) (abi.CPUPolicy, error) {
	p := abi.CPUPolicy{Leaves: slices.Clone(c.Default.Leaves)}
	if len(edits.MSRs) > 0 {
		p.MSRs = slices.Clone(c.Default.MSRs)
	}
	applyTraits(&p, c.Host, t)
	if t.Container {
		containerTopology(&p)
	}
	if err := editLeaves(&p, c, edits.Leaves); err != nil {
		return abi.CPUPolicy{}, err
	}
	if len(edits.Leaves) > 0 {
		dropDependents(&p)
	}
	if err := editMSRs(&p, c, edits.MSRs); err != nil {
		return abi.CPUPolicy{}, err
	}
	return p, nil
}

// leaf finds a leaf of p; subleaf is abi.NoSubleaf for a leaf without any.
func leaf(p *abi.CPUPolicy, n, subleaf uint32) *abi.CPUIDLeaf {
	for i := range p.Leaves {
		if l := &p.Leaves[i]; l.Leaf == n && l.Subleaf == subleaf {
			return l
		}
	}
	return nil
}

// register returns register r of l: config.EAX and so on.
func register(l *abi.CPUIDLeaf, r int) *uint32 {
	return [...]*uint32{&l.A, &l.B, &l.C, &l.D}[r]
}

// feature is a bit of a CPUID leaf.
type feature struct {
	leaf, subleaf uint32
	reg, bit      int
}

// The features that traits decide.
var (
	featPAE       = feature{1, abi.NoSubleaf, config.EDX, 6}
	featHTT       = feature{1, abi.NoSubleaf, config.EDX, 28}
	featVMX       = feature{1, abi.NoSubleaf, config.ECX, 5}
	featCmpLegacy = feature{0x80000001, abi.NoSubleaf, config.ECX, 1}
	featSVM       = feature{0x80000001, abi.NoSubleaf, config.ECX, 2}
	featITSC      = feature{0x80000007, abi.NoSubleaf, config.EDX, 8}
)

func (f feature) in(p *abi.CPUPolicy) bool {
	l := leaf(p, f.leaf, f.subleaf)
	return l != nil && *register(l, f.reg)>>f.bit&1 != 0
}

// set sets or clears f in p. A policy that lacks the leaf stays without.
func (f feature) set(p *abi.CPUPolicy, on bool) {
	l := leaf(p, f.leaf, f.subleaf)
	if l == nil {
		return
	}
	r := register(l, f.reg)
	*r &^= 1 << f.bit
	if on {
		*r |= 1 << f.bit
	}
}

func applyTraits(p *abi.CPUPolicy, host abi.CPUPolicy, t Traits) {
	featITSC.set(p, t.InvariantTSC)
	if !t.Container {
		// Without CPUID faulting a PV guest sees the real topology, so it has
		// to see the host's bits that go with it.
		featHTT.set(p, featHTT.in(&host))
		featCmpLegacy.set(p, featCmpLegacy.in(&host))
		return
	}
	featPAE.set(p, !t.NoPAE)
	featVMX.set(p, t.NestedVirt)
	featSVM.set(p, t.NestedVirt)
	featHTT.set(p, true)
	featCmpLegacy.set(p, false)
}

// containerTopology makes the leaves fit APIC ids of twice the vcpu's number,
// which look like processors without hyper-threads.
func containerTopology(p *abi.CPUPolicy) {
	if l := leaf(p, 1, abi.NoSubleaf); l != nil {
		n := l.B >> 16 & 0xff // logical processors per package
		switch {
		case n == 0:
			n = 2
		case n&0x80 == 0:
			n *= 2
		}
		l.B = l.B&^(0xff<<16) | n<<16
	}
	switch vendor(p) {
	case "GenuineIntel":
		intelCaches(p)
	case "AuthenticAMD", "HygonGenuine":
		amdCores(p)
	}
}

// vendor returns the twelve letters of leaf 0.
func vendor(p *abi.CPUPolicy) string {
	l := leaf(p, 0, abi.NoSubleaf)
	if l == nil {
		return ""
	}
	var b []byte
	for _, r := range []uint32{l.B, l.D, l.C} {
		b = append(b, byte(r), byte(r>>8), byte(r>>16), byte(r>>24))
	}
	return string(b)
}

// intelCaches doubles the cores per package and takes sharing threads away, for
// every cache that leaf 4 lists.
func intelCaches(p *abi.CPUPolicy) {
	for i := uint32(0); ; i++ {
		l := leaf(p, 4, i)
		if l == nil || l.A&0x1f == 0 { // no further cache
			return
		}
		cores := l.A >> 26
		l.A = l.A&0x3fff | (cores<<1|1)<<26
	}
}

// amdCores doubles the cores of leaf 0x80000008. The width of the core id grows
// with it, but not from 0, which means something else, nor beyond 7, which some
// systems do not bear.
func amdCores(p *abi.CPUPolicy) {
	l := leaf(p, 0x80000008, abi.NoSubleaf)
	if l == nil || l.C&0xff >= 0x7f {
		return
	}
	cores, width := l.C&0xff, l.C>>12&0xf
	if width != 0 && width < 7 {
		width++
	}
	l.C = l.C&^0xf0ff | width<<12 | cores<<1 | 1
}

// editLeaves applies the user's edits, each bit on top of what is there.
func editLeaves(p *abi.CPUPolicy, c CPUs, edits []config.CPUIDLeaf) error {
	for _, e := range edits {
		sub := uint32(abi.NoSubleaf)
		if v, ok := e.Subleaf.Get(); ok {
			sub = v
		}
		cur, def, host := leaf(p, e.Leaf, sub), leaf(&c.Default, e.Leaf, sub), leaf(&c.Host, e.Leaf, sub)
		if cur == nil || def == nil || host == nil {
			return fmt.Errorf("%w: leaf %#x, subleaf %#x: this host's CPUs have none", ErrPolicy, e.Leaf, sub)
		}
		for r, bits := range e.Regs {
			v, err := edit(string(bits), 32, uint64(*register(cur, r)), uint64(*register(def, r)), uint64(*register(host, r)))
			if err != nil {
				return fmt.Errorf("%w: leaf %#x, subleaf %#x: %w", ErrPolicy, e.Leaf, sub, err)
			}
			*register(cur, r) = uint32(v)
		}
	}
	return nil
}

// edit applies a string of one character per bit, highest first, to cur.
func edit(bits string, width int, cur, def, host uint64) (uint64, error) {
	if bits == "" {
		return cur, nil
	}
	if len(bits) != width {
		return 0, fmt.Errorf("%q has %d bits instead of %d", bits, len(bits), width)
	}
	for i, ch := range bits {
		mask := uint64(1) << (width - 1 - i)
		from := uint64(0)
		switch ch {
		case '0':
		case '1':
			from = mask
		case 'x':
			from = def
		case 'k', 's':
			from = host
		default:
			return 0, fmt.Errorf("%q: a bit is 0, 1, x, k or s, not %q", bits, ch)
		}
		cur = cur&^mask | from&mask
	}
	return cur, nil
}

func msr(p *abi.CPUPolicy, index uint32) *abi.PolicyMSR {
	for i := range p.MSRs {
		if p.MSRs[i].Index == index {
			return &p.MSRs[i]
		}
	}
	return nil
}

func editMSRs(p *abi.CPUPolicy, c CPUs, edits []config.MSRPolicy) error {
	for _, e := range edits {
		cur, def, host := msr(p, e.Index), msr(&c.Default, e.Index), msr(&c.Host, e.Index)
		if cur == nil || def == nil || host == nil {
			return fmt.Errorf("%w: MSR %#x is not one that guests can be given", ErrPolicy, e.Index)
		}
		v, err := edit(e.Policy, 64, cur.Value, def.Value, host.Value)
		if err != nil {
			return fmt.Errorf("%w: MSR %#x: %w", ErrPolicy, e.Index, err)
		}
		cur.Value = v
	}
	return nil
}
