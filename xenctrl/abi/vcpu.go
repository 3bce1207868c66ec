package abi

import "time"

// AppendVCPUContext appends the argument of set/getvcpucontext: which vcpu and
// where its guest context lies. Address 0 with set resets the vcpu.
func AppendVCPUContext(b []byte, vcpu uint32, addr uint64) []byte {
	b = append32(b, vcpu, 0)
	return append64(b, addr)
}

// VCPUContextSize is sizeof(struct vcpu_guest_context) of a 64-bit guest.
const VCPUContextSize = 5168

// VCPUContextSize32 is the size of the same structure of a 32-bit PV guest.
const VCPUContextSize32 = 2800

// VCPUInfo is what Xen tells about a vcpu at one moment.
type VCPUInfo struct {
	ID      uint32
	Online  bool
	Blocked bool
	Running bool
	CPUTime time.Duration
	CPU     uint32 // where it ran last
}

// AppendVCPUInfo appends the argument of getvcpuinfo.
func AppendVCPUInfo(b []byte, vcpu uint32) []byte {
	return pad(append32(b, vcpu), 20)
}

// ParseVCPUInfo reads the answer of getvcpuinfo.
func ParseVCPUInfo(b []byte) VCPUInfo {
	return VCPUInfo{
		ID: get32(b, 0), Online: b[4] != 0, Blocked: b[5] != 0, Running: b[6] != 0,
		CPUTime: time.Duration(get64(b, 8)), CPU: get32(b, 16),
	}
}

// Flags of vcpu affinity. Source: domctl.h, XEN_VCPUAFFINITY_*.
const (
	AffinityHard  = 1
	AffinitySoft  = 2
	AffinityForce = 4
)

// AppendVCPUAffinity appends the argument of set/getvcpuaffinity; both bitmaps
// have nbits bits.
func AppendVCPUAffinity(b []byte, vcpu, flags uint32, hard, soft uint64, nbits uint32) []byte {
	b = append32(b, vcpu, flags)
	b = AppendBitmap(b, hard, nbits)
	return AppendBitmap(b, soft, nbits)
}

// AppendNodeAffinity appends the argument of set/getnodeaffinity.
func AppendNodeAffinity(b []byte, addr uint64, nbits uint32) []byte {
	return AppendBitmap(b, addr, nbits)
}

// ExtVCPUContextSize is sizeof(struct xen_domctl_ext_vcpucontext). A saved one
// may be up to 128 bytes long.
const ExtVCPUContextSize = 64

// AppendExtVCPUContext appends the request of get_ext_vcpucontext.
func AppendExtVCPUContext(b []byte, vcpu uint32) []byte {
	return pad(append32(b, vcpu), ExtVCPUContextSize-4)
}

// ExtVCPUContextLen is the size that Xen put into an ext_vcpucontext.
func ExtVCPUContextLen(b []byte) uint32 { return get32(b, 4) }

// AppendVCPUExtState appends the argument of set/getvcpuextstate (the XSAVE
// area of a PV vcpu). Size 0 or address 0 with get asks for the size.
func AppendVCPUExtState(b []byte, vcpu uint32, mask, size, addr uint64) []byte {
	b = append32(b, vcpu, 0)
	return append64(b, mask, size, addr)
}

// ParseVCPUExtState returns the XCR0 mask and size from the answer.
func ParseVCPUExtState(b []byte) (mask, size uint64) { return get64(b, 8), get64(b, 16) }

// VCPUMSR is one model-specific register of a PV vcpu.
type VCPUMSR struct {
	Index uint32
	Value uint64
}

// VCPUMSRSize is sizeof(struct xen_domctl_vcpu_msr).
const VCPUMSRSize = 16

// AppendVCPUMSRs appends the argument of get/set_vcpu_msrs.
func AppendVCPUMSRs(b []byte, vcpu, count uint32, addr uint64) []byte {
	b = append32(b, vcpu, count)
	return append64(b, addr)
}

// ParseVCPUMSRCount returns how many registers the answer holds.
func ParseVCPUMSRCount(b []byte) uint32 { return get32(b, 4) }

// AppendVCPUMSR appends one element of the array.
func AppendVCPUMSR(b []byte, m VCPUMSR) []byte {
	b = append32(b, m.Index, 0)
	return append64(b, m.Value)
}

// ParseVCPUMSR reads one element of the array.
func ParseVCPUMSR(b []byte) VCPUMSR { return VCPUMSR{get32(b, 0), get64(b, 8)} }
