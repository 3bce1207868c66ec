package stream

import "goxl/xenctrl/abi"

// Checkpoints says how a stream that goes on after a complete state of the guest
// continues.
type Checkpoints uint8

// The kinds of streams.
const (
	NoCheckpoints Checkpoints = iota // save, restore and live migration
	Remus                            // a checkpoint after the other; also plain streams
	COLO                             // the same, with a CHECKPOINT_STATE after each
)

// rules hold a stream to the order in which things may stand in it. Reader and
// Writer both ask: admit before a header or record, took after it.
type rules struct {
	checkpoints Checkpoints
	outermost   Layer
	back        bool // a back channel: neither headers nor END

	state   state
	version uint32
	guest   GuestType
	libxl   uint64 // which records of libxl were there, a bit for each number
	libxc   uint64
	memory  bool    // the static data is complete
	vcpus   bool    // a vcpu's state was there since the last checkpoint
	width   uint8   // of a PV guest's words
	last    abi.PFN // the highest that a PV guest's table covers
}

// state is what may come next.
type state uint8

const (
	wantXLHeader state = iota
	wantLibxlHeader
	inLibxl
	wantLibxcHeader
	inLibxc
	inCheckpoint // records of libxl up to CHECKPOINT_END
	wantState    // COLO's CHECKPOINT_STATE
	inBackChannel
	atEnd
)

func newRules(o Options) rules {
	r := rules{checkpoints: o.Checkpoints, outermost: o.Outermost, back: o.BackChannel}
	switch {
	case o.BackChannel:
		r.state = inBackChannel
	case o.Outermost == LayerLibxl:
		r.state = wantLibxlHeader
	case o.Outermost == LayerLibxc:
		r.state = wantLibxcHeader
	}
	return r
}

// typeOf returns what number n means for a record that stands here.
func (r *rules) typeOf(n uint32) Type {
	if n-firstOfOurs < uint32(len(ourNames)) {
		return ours | Type(n)
	}
	switch r.state {
	case inLibxc:
		return libxc | Type(n)
	case inBackChannel:
		if n == TypeDirtyPFNs.Number() {
			return TypeDirtyPFNs
		}
	}
	return libxl | Type(n)
}

// header is the header that comes next, 0 when it is a record.
func (r *rules) header() Type {
	switch r.state {
	case wantXLHeader:
		return TypeXLHeader
	case wantLibxlHeader:
		return TypeLibxlHeader
	case wantLibxcHeader:
		return TypeLibxcHeader
	}
	return 0
}

// admit tells whether a header or record of type t may stand here.
func (r *rules) admit(t Type) error {
	if h := r.header(); h != 0 || t.IsHeader() {
		if t != h {
			return bad("it does not stand where it belongs")
		}
		return nil
	}
	if !t.known() && !t.IsOptional() {
		return bad("a mandatory record that is unknown: written by a newer Xen, or damaged")
	}
	if t.format() == ours {
		return r.admitOurs()
	}
	switch r.state {
	case inLibxl:
		return r.admitLibxl(t)
	case inLibxc:
		return r.admitLibxc(t)
	case inCheckpoint:
		if t == TypeCheckpointEnd || t == TypeEmulatorStore || t == TypeEmulatorContext || t.IsOptional() && t.format() == libxl {
			return nil
		}
		return bad("it stands in a checkpoint, before CHECKPOINT_END")
	case wantState:
		if t != TypeCheckpointState {
			return bad("want CHECKPOINT_STATE after CHECKPOINT_END")
		}
		return nil
	case inBackChannel:
		if t != TypeCheckpointState && t != TypeDirtyPFNs {
			return bad("it does not belong into a back channel")
		}
		return nil
	}
	return bad("it comes after the end")
}

func (r *rules) hasLibxl(t Type) bool { return r.libxl>>t.Number()&1 != 0 }
func (r *rules) hasLibxc(t Type) bool { return r.libxc>>t.Number()&1 != 0 }

// admitLibxl is admit for what stands in libxl's stream outside of a checkpoint.
func (r *rules) admitLibxl(t Type) error {
	switch {
	case t.format() != libxl:
		return bad("it does not stand where it belongs")
	case t.IsOptional():
	case t == TypeLibxcContext:
		if r.hasLibxl(t) {
			return bad("there was one before")
		}
	case t == TypeCheckpointEnd || t == TypeCheckpointState:
		return bad("there is no checkpoint that it could belong to")
	case !r.hasLibxl(TypeLibxcContext):
		return bad("LIBXC_CONTEXT has to come first")
	case t != TypeLibxlEnd && r.guest == GuestPV:
		return bad("a PV guest has no emulator")
	}
	return nil
}

// admitLibxc is admit for what stands in libxc's stream.
func (r *rules) admitLibxc(t Type) error {
	if t.format() != libxc {
		return bad("it does not stand where it belongs")
	}
	if t.IsOptional() {
		return nil
	}
	if g := guestOf(t); g != 0 && g != r.guest {
		return bad("a record of %v guests, but the guest is %v", g, r.guest)
	}
	switch t {
	case TypePVInfo, TypeCPUIDPolicy, TypeMSRPolicy, TypeStaticDataEnd:
		return r.admitStatic(t)
	case TypeToolstack:
		if r.version > 2 {
			return bad("it exists in version 2 only")
		}
		return nil
	case TypeDirtyPFNs:
		return bad("it belongs into the back channel")
	}
	if r.guest == GuestPV && !r.hasLibxc(TypePVInfo) {
		return bad("X86_PV_INFO has to come first")
	}
	if r.version > 2 && !r.memory {
		return bad("STATIC_DATA_END has to come first")
	}
	return r.admitState(t)
}

// admitStatic is about the records up to STATIC_DATA_END.
func (r *rules) admitStatic(t Type) error {
	switch {
	case r.version < 3 && t != TypePVInfo:
		return bad("it exists since version 3, the stream is of version %d", r.version)
	case r.hasLibxc(t):
		return bad("there was one before")
	case r.memory:
		return bad("it comes after the end of the static data")
	case t == TypeStaticDataEnd && r.guest == GuestPV && !r.hasLibxc(TypePVInfo):
		return bad("X86_PV_INFO has to come first")
	}
	return nil
}

// admitState is about memory, state and what ends them.
func (r *rules) admitState(t Type) error {
	switch t {
	case TypePageData:
		if r.guest == GuestPV && !r.hasLibxc(TypeP2MFrames) {
			return bad("X86_PV_P2M_FRAMES has to come first")
		}
		if r.vcpus {
			return bad("it comes after the state of a vcpu")
		}
	case TypeVerify:
		if r.hasLibxc(t) {
			return bad("there was one before")
		}
	case TypeCheckpoint:
		if r.checkpoints == NoCheckpoints {
			return bad("the stream should have no checkpoints")
		}
		return r.complete()
	case TypeEnd:
		return r.complete()
	}
	return nil
}

// complete tells whether what a guest cannot run without was there.
func (r *rules) complete() error {
	need := []Type{TypeHVMContext}
	if r.guest == GuestPV {
		need = []Type{TypeP2MFrames, TypeSharedInfo, TypeVCPUBasic}
	}
	for _, t := range need {
		if !r.hasLibxc(t) {
			return bad("there was no %v", t)
		}
	}
	return nil
}

// guestOf is the kind of guest that has records of type t, 0 for both.
func guestOf(t Type) GuestType {
	switch t {
	case TypePVInfo, TypeP2MFrames, TypeSharedInfo, TypeVCPUBasic, TypeVCPUExtended, TypeVCPUXSave, TypeVCPUMSRs:
		return GuestPV
	case TypeHVMContext, TypeHVMParams:
		return GuestHVM
	}
	return 0
}

// check tells whether what b says goes together with what was said before.
func (r *rules) check(b Body) error {
	switch b := b.(type) {
	case *PVInfo:
		return b.check()
	case *P2MFrames:
		return b.check(r.width)
	case *VCPU:
		return b.check(r.width)
	case *PageData:
		return r.checkPFNs(b)
	case CheckpointState:
		if r.state == wantState && b != CheckpointNew {
			return bad("state %d, want %d (a new checkpoint)", uint32(b), uint32(CheckpointNew))
		}
		return b.check()
	}
	return checkDisk(b)
}

// checkPFNs refuses pages that a PV guest's table does not cover.
func (r *rules) checkPFNs(d *PageData) error {
	if r.guest != GuestPV {
		return nil
	}
	for i, p := range d.PFNs {
		if p > r.last {
			return bad("page %d of %d: number %#x, the guest's table ends with %#x", i, len(d.PFNs), uint64(p), uint64(r.last))
		}
	}
	return nil
}

// took notes that b stands here.
func (r *rules) took(b Body) {
	t := b.Type()
	switch b := b.(type) {
	case *XLHeader:
		r.state = wantLibxlHeader
	case *LibxlHeader:
		r.state = inLibxl
	case *LibxcHeader:
		r.state, r.version, r.guest = inLibxc, b.Version, b.Guest
	case Mark:
		r.tookMark(t)
	case *PVInfo:
		r.width = b.Width
	case *P2MFrames:
		r.last = max(r.last, abi.PFN(b.End))
		r.memory = true
	case *PageData:
		r.memory = true
	case *VCPU:
		r.vcpus = true
	case CheckpointState:
		if r.state == wantState {
			r.state = inLibxc
		}
	}
	if t.known() && t.format() == libxc {
		r.libxc |= 1 << t.Number()
	} else if t.known() && t.format() == libxl {
		r.libxl |= 1 << t.Number()
	}
}

// tookMark goes from one layer to the other where a record says so.
func (r *rules) tookMark(t Type) {
	switch t {
	case TypeLibxcContext:
		r.state = wantLibxcHeader
	case TypeStaticDataEnd:
		r.memory = true
	case TypeCheckpoint:
		r.vcpus = false
		if r.outermost != LayerLibxc {
			r.state = inCheckpoint
		}
	case TypeCheckpointEnd:
		r.state = inLibxc
		if r.checkpoints == COLO {
			r.state = wantState
		}
	case TypeEnd:
		r.state = inLibxl
		if r.outermost == LayerLibxc {
			r.state = atEnd
		}
	case TypeLibxlEnd:
		r.state = atEnd
	}
}
