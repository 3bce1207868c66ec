package stream

import (
	"encoding/binary"
	"iter"

	"goxl/xenctrl/abi"
)

// The limits of records that are read as a whole. The formats only know 128 MiB
// for everything (REC_LENGTH_MAX); these are well above what Xen has to say.
const (
	MaxHVMContext = 16 << 20  // Xen's own for 128 vcpus is below 3 MiB
	MaxHVMParams  = 1024      // Xen has 39 parameters
	MaxLeaves     = 4096      // CPUID leaves
	MaxMSRs       = 4096      // in a policy, or of one vcpu
	MaxXSave      = 256 << 10 // one vcpu's extended state
	MaxToolstack  = 1 << 20
	MaxVCPUs      = 8192 // of a PV guest: MAX_VIRT_CPUS

	maxExtended = 128 // ext_vcpucontext: what the genuine restore takes
)

// PVInfo is an X86_PV_INFO record: how wide the words of a PV guest are.
type PVInfo struct {
	Width  uint8 // bytes: 4 or 8
	Levels uint8 // of page tables: 3 with width 4, 4 with width 8
}

// Type returns TypePVInfo.
func (*PVInfo) Type() Type { return TypePVInfo }

func (p *PVInfo) check() error {
	if p.Width == 4 && p.Levels == 3 || p.Width == 8 && p.Levels == 4 {
		return nil
	}
	return bad("words of %d bytes and %d levels of page tables do not go together", p.Width, p.Levels)
}

// P2MFrames is an X86_PV_P2M_FRAMES record: which pages hold the guest's table
// from PFN to MFN, for the entries Start to End inclusive.
type P2MFrames struct {
	Start, End uint32
	Frames     PFNList
}

// Type returns TypeP2MFrames.
func (*P2MFrames) Type() Type { return TypeP2MFrames }

// P2MFrameCount is how many pages hold the entries start to end of the table of a
// guest with words of width bytes.
func P2MFrameCount(start, end uint32, width uint8) int {
	perPage := uint32(abi.PageSize) / uint32(width)
	return int(end/perPage-start/perPage) + 1
}

func (p *P2MFrames) check(width uint8) error {
	if p.Start > p.End {
		return bad("entries %#x to %#x", p.Start, p.End)
	}
	if want := P2MFrameCount(p.Start, p.End, width); p.Frames.Len() != want {
		return bad("%d frames for the entries %#x to %#x, want %d", p.Frames.Len(), p.Start, p.End, want)
	}
	return nil
}

// VCPU is an X86_PV_VCPU_BASIC, _EXTENDED, _XSAVE or _MSRS record: one part of the
// state of a PV guest's vcpu, as the domctl of that name gives it. It may be empty
// in streams of Xen 4.6 to 4.8, and means nothing then.
type VCPU struct {
	Kind    Type // TypeVCPUBasic, ...
	ID      uint32
	Context []byte
}

// Type returns which of the four v is.
func (v *VCPU) Type() Type { return v.Kind }

// MSRs goes over the context of a record of TypeVCPUMSRs.
func (v *VCPU) MSRs() iter.Seq[abi.VCPUMSR] {
	return func(yield func(abi.VCPUMSR) bool) {
		for b := v.Context; len(b) >= abi.VCPUMSRSize; b = b[abi.VCPUMSRSize:] {
			if !yield(abi.ParseVCPUMSR(b)) {
				return
			}
		}
	}
}

func (v *VCPU) check(width uint8) error {
	n := len(v.Context)
	if v.ID >= MaxVCPUs {
		return bad("vcpu %d, at most %d exist", v.ID, MaxVCPUs)
	}
	switch v.Kind {
	case TypeVCPUBasic:
		want := abi.VCPUContextSize
		if width == 4 {
			want = abi.VCPUContextSize32
		}
		if n != want {
			return bad("a context of %d bytes, want %d", n, want)
		}
	case TypeVCPUExtended:
		if n > maxExtended {
			return bad("a context of %d bytes, at most %d", n, maxExtended)
		}
	case TypeVCPUXSave:
		if n > 0 && n < 16 || n > MaxXSave {
			return bad("a context of %d bytes, want 16 to %d", n, MaxXSave)
		}
	case TypeVCPUMSRs:
		if n%abi.VCPUMSRSize != 0 || n > MaxMSRs*abi.VCPUMSRSize {
			return bad("a context of %d bytes, want at most %d registers of %d", n, MaxMSRs, abi.VCPUMSRSize)
		}
	default:
		return bad("not a vcpu's record")
	}
	return nil
}

// SharedInfo is a SHARED_INFO record: the page that Xen and a PV guest share.
type SharedInfo [abi.PageSize]byte

// Type returns TypeSharedInfo.
func (*SharedInfo) Type() Type { return TypeSharedInfo }

// TSCInfo is an X86_TSC_INFO record, what the domctls get and settscinfo know.
type TSCInfo struct {
	Mode        uint32
	KHz         uint32
	Nsec        uint64 // elapsed
	Incarnation uint32
}

// Type returns TypeTSCInfo.
func (*TSCInfo) Type() Type { return TypeTSCInfo }

// HVMParam is one parameter of an HVM or PVH guest, abi.Param*.
type HVMParam struct{ Index, Value uint64 }

// HVMParams is an HVM_PARAMS record. It may be empty in streams of Xen 4.6 to 4.8.
type HVMParams []HVMParam

// Type returns TypeHVMParams.
func (HVMParams) Type() Type { return TypeHVMParams }

// CPUIDPolicy is an X86_CPUID_POLICY record: the CPUID leaves the guest sees.
type CPUIDPolicy []abi.CPUIDLeaf

// Type returns TypeCPUIDPolicy.
func (CPUIDPolicy) Type() Type { return TypeCPUIDPolicy }

// MSRPolicy is an X86_MSR_POLICY record: the feature MSRs the guest sees.
type MSRPolicy []abi.PolicyMSR

// Type returns TypeMSRPolicy.
func (MSRPolicy) Type() Type { return TypeMSRPolicy }

// Toolstack is a TOOLSTACK record, a blob of converted streams of version 2. The
// genuine restore refuses it.
type Toolstack []byte

// Type returns TypeToolstack.
func (Toolstack) Type() Type { return TypeToolstack }

// DirtyPFNs is a CHECKPOINT_DIRTY_PFN_LIST record: what COLO's secondary guest
// wrote to, in no order.
type DirtyPFNs struct{ PFNs PFNList }

// Type returns TypeDirtyPFNs.
func (*DirtyPFNs) Type() Type { return TypeDirtyPFNs }

// decodeHVMParams reads the body of an HVM_PARAMS record.
func decodeHVMParams(b []byte, strict bool) (HVMParams, error) {
	count := binary.LittleEndian.Uint32(b)
	if strict {
		if err := reservedZero(binary.LittleEndian.Uint32(b[4:])); err != nil {
			return nil, err
		}
	}
	if count > MaxHVMParams || len(b) != 8+16*int(count) {
		return nil, bad("%d parameters in %d bytes", count, len(b))
	}
	p := make(HVMParams, count)
	for i := range p {
		at := b[8+16*i:]
		p[i] = HVMParam{binary.LittleEndian.Uint64(at), binary.LittleEndian.Uint64(at[8:])}
	}
	return p, nil
}

// decodeTSCInfo reads the body of an X86_TSC_INFO record.
func decodeTSCInfo(b []byte, strict bool) (*TSCInfo, error) {
	le := binary.LittleEndian
	if strict {
		if err := reservedZero(le.Uint32(b[20:])); err != nil {
			return nil, err
		}
	}
	return &TSCInfo{le.Uint32(b), le.Uint32(b[4:]), le.Uint64(b[8:]), le.Uint32(b[16:])}, nil
}
