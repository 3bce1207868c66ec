package stream

import "goxl/xenctrl/abi"

// maxRecord bounds records that have no smaller limit: REC_LENGTH_MAX of libxc.
const maxRecord = 128 << 20

// shape says how long a record's body may be: fixed bytes and any number of
// elements of step bytes, at most max bytes in all.
type shape struct{ fixed, step, max uint32 }

// shapeOf returns the shape of the records of type t.
func shapeOf(t Type) shape {
	switch t {
	case TypePageData:
		return shape{16, 8, largestPageData}
	case TypePVInfo:
		return shape{8, 0, 8}
	case TypeP2MFrames:
		return shape{16, 8, 8 + 8<<23} // 2^32 entries, 512 of them in a page
	case TypeVCPUBasic:
		return shape{8, 1, 8 + abi.VCPUContextSize}
	case TypeVCPUExtended:
		return shape{8, 1, 8 + maxExtended}
	case TypeVCPUXSave:
		return shape{8, 1, 8 + MaxXSave}
	case TypeVCPUMSRs:
		return shape{8, abi.VCPUMSRSize, 8 + MaxMSRs*abi.VCPUMSRSize}
	case TypeSharedInfo:
		return shape{abi.PageSize, 0, abi.PageSize}
	case TypeTSCInfo:
		return shape{24, 0, 24}
	case TypeHVMContext:
		return shape{1, 1, MaxHVMContext}
	case TypeHVMParams:
		return shape{8, 16, 8 + 16*MaxHVMParams}
	case TypeToolstack:
		return shape{0, 1, MaxToolstack}
	case TypeDirtyPFNs:
		return shape{0, 8, maxRecord}
	case TypeCPUIDPolicy:
		return shape{abi.CPUIDLeafSize, abi.CPUIDLeafSize, MaxLeaves * abi.CPUIDLeafSize}
	case TypeMSRPolicy:
		return shape{abi.PolicyMSRSize, abi.PolicyMSRSize, MaxMSRs * abi.PolicyMSRSize}
	case TypeEmulatorStore:
		return shape{8, 1, MaxEmulatorStore}
	case TypeEmulatorContext:
		return shape{8, 1, MaxEmulatorContext}
	case TypeCheckpointState:
		return shape{4, 4, 8} // 8 in the specification, 4 from the genuine libxl
	}
	if t.format() == ours {
		return diskShape(t)
	}
	if t.IsOptional() {
		return shape{0, 1, maxRecord}
	}
	return shape{} // a Mark
}

func (s shape) check(length uint32) error {
	switch {
	case s.max == s.fixed && length != s.fixed:
		return bad("a body of %d bytes, want %d", length, s.fixed)
	case length < s.fixed:
		return bad("a body of %d bytes, at least %d are needed", length, s.fixed)
	case length > s.max:
		return bad("a body of %d bytes, at most %d are accepted", length, s.max)
	case s.step > 1 && (length-s.fixed)%s.step != 0:
		return bad("a body of %d bytes, want %d and a multiple of %d", length, s.fixed, s.step)
	}
	return nil
}

// padding is how many zeros follow a body of length bytes.
func padding(length uint32) int { return int(-length & 7) }
