package config

// CPUPolicy is what a guest's CPUID leaves and MSRs shall say, where that was
// asked for. Source: libxl_cpuid_policy_list.
type CPUPolicy struct {
	Leaves []CPUIDLeaf
	MSRs   []MSRPolicy
}

// CPUIDLeaf edits one leaf of CPUID.
type CPUIDLeaf struct {
	Leaf    uint32
	Subleaf Opt[uint32] // absent: the leaf has no subleaves, or all are meant
	Regs    [4]RegPolicy
}

// The indices of CPUIDLeaf.Regs.
const (
	EAX = iota
	EBX
	ECX
	EDX
)

// RegPolicy says what to do with each of the 32 bits of a register: a character
// per bit, the highest first. '1' sets, '0' clears, 'x' leaves the default policy,
// 'k' keeps the host's value, 's' is an old name of 'k'. The empty RegPolicy
// leaves all bits.
type RegPolicy string

// MSRPolicy edits one model specific register; Policy is as RegPolicy, with 64
// characters. Since 4.17.
type MSRPolicy struct {
	Index  uint32
	Policy string
}

// IsEmpty reports whether nothing was asked for.
func (p *CPUPolicy) IsEmpty() bool { return len(p.Leaves) == 0 && len(p.MSRs) == 0 }
