package stream

import "fmt"

// Layer is one of the three formats that nest in a stream.
type Layer uint8

// The layers, outermost first.
const (
	LayerXL    Layer = iota // a save file of xl, or what xl sends in a migration
	LayerLibxl              // what libxl reads and writes
	LayerLibxc              // what libxc reads and writes
)

func (l Layer) String() string { return [...]string{"xl", "libxl", "libxc"}[l] }

// Type says what a header or a record is. Records of libxl and of libxc are
// numbered independently; the layer is part of a Type.
type Type uint64

const (
	headers Type = 1 << 32
	libxl   Type = 2 << 32
	libxc   Type = 3 << 32
	ours    Type = 4 << 32 // of goxl, in the layer where they stand
)

// optional is the bit of a record's number that lets readers pass over it.
const optional = 1 << 31

// The headers. They are no records, but come out of a Reader like these.
const (
	TypeXLHeader    = headers | 1
	TypeLibxlHeader = headers | 2
	TypeLibxcHeader = headers | 3 // image header and domain header
)

// The records of libxl. Source: libxl_sr_stream_format.h, REC_TYPE_*.
const (
	TypeLibxlEnd        = libxl | 0
	TypeLibxcContext    = libxl | 1 // a whole libxc stream follows
	TypeEmulatorStore   = libxl | 2 // EMULATOR_XENSTORE_DATA
	TypeEmulatorContext = libxl | 3
	TypeCheckpointEnd   = libxl | 4
	TypeCheckpointState = libxl | 5 // COLO
)

// The records of libxc. Source: xg_sr_stream_format.h, REC_TYPE_*.
const (
	TypeEnd           = libxc | 0x00
	TypePageData      = libxc | 0x01
	TypePVInfo        = libxc | 0x02
	TypeP2MFrames     = libxc | 0x03
	TypeVCPUBasic     = libxc | 0x04
	TypeVCPUExtended  = libxc | 0x05
	TypeVCPUXSave     = libxc | 0x06
	TypeSharedInfo    = libxc | 0x07
	TypeTSCInfo       = libxc | 0x08
	TypeHVMContext    = libxc | 0x09
	TypeHVMParams     = libxc | 0x0a
	TypeToolstack     = libxc | 0x0b // of converted streams, version 2 only
	TypeVCPUMSRs      = libxc | 0x0c
	TypeVerify        = libxc | 0x0d
	TypeCheckpoint    = libxc | 0x0e
	TypeDirtyPFNs     = libxc | 0x0f // CHECKPOINT_DIRTY_PFN_LIST, back channel of COLO
	TypeStaticDataEnd = libxc | 0x10 // since version 3, as the two below
	TypeCPUIDPolicy   = libxc | 0x11
	TypeMSRPolicy     = libxc | 0x12
)

var libxlNames = [...]string{
	"END", "LIBXC_CONTEXT", "EMULATOR_XENSTORE_DATA", "EMULATOR_CONTEXT", "CHECKPOINT_END", "CHECKPOINT_STATE",
}

var libxcNames = [...]string{
	"END", "PAGE_DATA", "X86_PV_INFO", "X86_PV_P2M_FRAMES", "X86_PV_VCPU_BASIC", "X86_PV_VCPU_EXTENDED",
	"X86_PV_VCPU_XSAVE", "SHARED_INFO", "X86_TSC_INFO", "HVM_CONTEXT", "HVM_PARAMS", "TOOLSTACK",
	"X86_PV_VCPU_MSRS", "VERIFY", "CHECKPOINT", "CHECKPOINT_DIRTY_PFN_LIST", "STATIC_DATA_END",
	"X86_CPUID_POLICY", "X86_MSR_POLICY",
}

var headerNames = [...]string{"", "xl header", "libxl header", "libxc header"}

// Number is what stands for t in the stream.
func (t Type) Number() uint32 { return uint32(t) }

// format is t without its number.
func (t Type) format() Type { return t &^ (1<<32 - 1) }

// Layer is the format that t belongs to.
func (t Type) Layer() Layer {
	switch {
	case t.format() == libxl || t == TypeLibxlHeader || t.format() == ours:
		return LayerLibxl
	case t.format() == libxc || t == TypeLibxcHeader:
		return LayerLibxc
	}
	return LayerXL
}

// IsHeader reports whether t is a header and no record.
func (t Type) IsHeader() bool { return t.format() == headers }

// IsOptional reports whether a reader that does not know the record may pass over it.
func (t Type) IsOptional() bool { return !t.IsHeader() && t.Number()&optional != 0 }

// known reports whether the formats define t.
func (t Type) known() bool { return t.name() != "" }

func (t Type) name() string {
	names := headerNames[:]
	switch t.format() {
	case libxl:
		names = libxlNames[:]
	case libxc:
		names = libxcNames[:]
	}
	n := t.Number()
	if t.format() == ours {
		names, n = ourNames[:], n-firstOfOurs
	}
	if n < uint32(len(names)) {
		return names[n]
	}
	return ""
}

// String is the name that the specifications have for t.
func (t Type) String() string {
	if s := t.name(); s != "" {
		return s
	}
	return fmt.Sprintf("%v type %#x", t.Layer(), t.Number())
}

// Body is what a header or a record says: one of this package's types.
type Body interface{ Type() Type }

// Mark is a record without a body: an END, LIBXC_CONTEXT, VERIFY, CHECKPOINT,
// CHECKPOINT_END or STATIC_DATA_END.
type Mark Type

// Type returns which record m is.
func (m Mark) Type() Type { return Type(m) }

// isMark reports whether records of type t have no body.
func isMark(t Type) bool {
	switch t {
	case TypeLibxlEnd, TypeLibxcContext, TypeCheckpointEnd,
		TypeEnd, TypeVerify, TypeCheckpoint, TypeStaticDataEnd:
		return true
	}
	return false
}
