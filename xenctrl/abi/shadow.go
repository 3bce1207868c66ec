package abi

// Operations of shadow_op. Source: domctl.h, XEN_DOMCTL_SHADOW_OP_*.
const (
	ShadowOff           = 0
	ShadowLogDirty      = 2
	ShadowClean         = 11
	ShadowPeek          = 12
	ShadowGetAllocation = 30
	ShadowSetAllocation = 31
	ShadowEnable        = 32

	ShadowFinal = 1 // mode bit of Clean: this is the last round
)

// ShadowOp is the argument and the answer of shadow_op.
type ShadowOp struct {
	Op     uint32
	Mode   uint32
	MiB    uint32 // paging pool, for the allocation operations
	Bitmap uint64 // address of the dirty bitmap; 0 asks for the counts only
	Pages  uint64 // bits wanted, then bits written
	Faults uint32 // out
	Dirty  uint32 // out
}

// AppendShadowOp appends s.
func AppendShadowOp(b []byte, s ShadowOp) []byte {
	b = append32(b, s.Op, s.Mode, s.MiB, 0)
	b = append64(b, s.Bitmap, s.Pages)
	return append32(b, s.Faults, s.Dirty)
}

// ParseShadowOp reads the answer.
func ParseShadowOp(b []byte) ShadowOp {
	return ShadowOp{
		Op: get32(b, 0), Mode: get32(b, 4), MiB: get32(b, 8), Bitmap: get64(b, 16),
		Pages: get64(b, 24), Faults: get32(b, 32), Dirty: get32(b, 36),
	}
}

// Page types of getpageframeinfo3. Source: domctl.h, XEN_DOMCTL_PFINFO_*.
const (
	FrameNoTab     = 0x0 << 28
	FrameL1Tab     = 0x1 << 28
	FrameL2Tab     = 0x2 << 28
	FrameL3Tab     = 0x3 << 28
	FrameL4Tab     = 0x4 << 28
	FramePinned    = 0x8 << 28
	FrameInvalid   = 0xf << 28 // XTAB: there is no such page
	FrameAllocOnly = 0xe << 28
	FrameBroken    = 0xd << 28
	FrameTypeMask  = 0xf << 28

	MaxPageFrameInfo = 1024 // most frames in one call
)

// AppendPageFrameInfo appends the argument of getpageframeinfo3: an array of
// num frame numbers, which Xen replaces by type words.
func AppendPageFrameInfo(b []byte, num, addr uint64) []byte { return append64(b, num, addr) }
