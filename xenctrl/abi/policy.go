package abi

// Indices of system-wide CPU policies. Source: sysctl.h, XEN_SYSCTL_cpu_policy_*.
const (
	PolicyRaw        = 0
	PolicyHost       = 1
	PolicyPVMax      = 2
	PolicyHVMMax     = 3
	PolicyPVDefault  = 4
	PolicyHVMDefault = 5
)

// Indices of system-wide featuresets. Source: sysctl.h, XEN_SYSCTL_cpu_featureset_*.
const (
	FeatureSetRaw    = 0
	FeatureSetHost   = 1
	FeatureSetPV     = 2
	FeatureSetHVM    = 3
	FeatureSetPVMax  = 4
	FeatureSetHVMMax = 5
)

// NoSubleaf is the subleaf of a CPUID leaf that has none.
const NoSubleaf = 0xffffffff

// CPUIDLeaf is one CPUID leaf of a policy.
type CPUIDLeaf struct {
	Leaf, Subleaf uint32 // Subleaf is NoSubleaf when the leaf has none
	A, B, C, D    uint32
}

// PolicyMSR is one MSR of a policy.
type PolicyMSR struct {
	Index uint32
	Flags uint32 // zero
	Value uint64
}

// CPUPolicy is what CPU a domain sees: CPUID leaves and a few MSRs.
type CPUPolicy struct {
	Leaves []CPUIDLeaf
	MSRs   []PolicyMSR
}

// Sizes of the elements of a policy.
const (
	CPUIDLeafSize = 24 // sizeof(xen_cpuid_leaf_t)
	PolicyMSRSize = 16 // sizeof(xen_msr_entry_t)
)

// AppendCPUIDLeaf appends one element of the leaves array.
func AppendCPUIDLeaf(b []byte, l CPUIDLeaf) []byte {
	return append32(b, l.Leaf, l.Subleaf, l.A, l.B, l.C, l.D)
}

// ParseCPUIDLeaf reads one element of the leaves array.
func ParseCPUIDLeaf(b []byte) CPUIDLeaf {
	return CPUIDLeaf{get32(b, 0), get32(b, 4), get32(b, 8), get32(b, 12), get32(b, 16), get32(b, 20)}
}

// AppendPolicyMSR appends one element of the MSR array.
func AppendPolicyMSR(b []byte, m PolicyMSR) []byte {
	b = append32(b, m.Index, m.Flags)
	return append64(b, m.Value)
}

// ParsePolicyMSR reads one element of the MSR array.
func ParsePolicyMSR(b []byte) PolicyMSR { return PolicyMSR{get32(b, 0), get32(b, 4), get64(b, 8)} }

// AppendCPUPolicy appends the argument of domctl get/set_cpu_policy.
func AppendCPUPolicy(b []byte, leaves, msrs uint32, leavesAddr, msrsAddr uint64) []byte {
	b = append32(b, leaves, msrs)
	b = append64(b, leavesAddr, msrsAddr)
	return pad(b, 16)
}

// CPUPolicyAnswer is what Xen wrote back: how many it knows or filled, and
// after a refusal what was wrong (all ones: not that).
type CPUPolicyAnswer struct {
	Leaves, MSRs                uint32
	ErrLeaf, ErrSubleaf, ErrMSR uint32
}

// ParseCPUPolicy reads the answer of domctl get/set_cpu_policy.
func ParseCPUPolicy(b []byte) CPUPolicyAnswer {
	return CPUPolicyAnswer{get32(b, 0), get32(b, 4), get32(b, 24), get32(b, 28), get32(b, 32)}
}

// AppendSystemCPUPolicy appends the argument of sysctl get_cpu_policy.
func AppendSystemCPUPolicy(b []byte, index, leaves, msrs uint32, leavesAddr, msrsAddr uint64) []byte {
	b = append32(b, index, leaves, msrs, 0)
	return append64(b, leavesAddr, msrsAddr)
}

// ParseSystemCPUPolicy returns the counts in the answer.
func ParseSystemCPUPolicy(b []byte) (leaves, msrs uint32) { return get32(b, 4), get32(b, 8) }

// AppendCPUFeatureSet appends the argument of sysctl get_cpu_featureset.
func AppendCPUFeatureSet(b []byte, index, words uint32, addr uint64) []byte {
	b = append32(b, index, words)
	return append64(b, addr)
}

// ParseCPUFeatureSet returns the number of words in the answer.
func ParseCPUFeatureSet(b []byte) uint32 { return get32(b, 4) }
