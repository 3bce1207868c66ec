package stream

import (
	"encoding/binary"
	"fmt"
	"io"

	"goxl/xenctrl/abi"
)

// encode appends the first part of b's body to buf and returns the second as it
// is, with its length. What streamOf knows is left out.
func (w *Writer) encode(b Body) (tail []byte, size int, err error) {
	switch b := b.(type) {
	case Mark:
		if !isMark(b.Type()) {
			return nil, 0, bad("it has a body")
		}
	case *PVInfo:
		w.buf = append(w.buf, b.Width, b.Levels, 0, 0, 0, 0, 0, 0)
	case *P2MFrames:
		w.buf = append32(w.buf, b.Start, b.End)
	case *VCPU:
		w.buf = append32(w.buf, b.ID, 0)
		tail = b.Context
	case *SharedInfo:
		tail = b[:]
	case *TSCInfo:
		w.buf = append32(w.buf, b.Mode, b.KHz)
		w.buf = append64(w.buf, b.Nsec)
		w.buf = append32(w.buf, b.Incarnation, 0)
	case HVMContext:
		tail = b
	case HVMParams:
		w.buf = append32(w.buf, uint32(len(b)), 0)
		for _, p := range b {
			w.buf = append64(w.buf, p.Index, p.Value)
		}
	case Toolstack:
		tail = b
	case CPUIDPolicy:
		for _, l := range b {
			w.buf = abi.AppendCPUIDLeaf(w.buf, l)
		}
	case MSRPolicy:
		for _, m := range b {
			w.buf = abi.AppendPolicyMSR(w.buf, m)
		}
	case *EmulatorStore:
		w.buf, err = b.append(w.buf)
	case *EmulatorContext:
		if b.ID > EmulatorQEMU {
			return nil, 0, bad("emulator %d is unknown", uint32(b.ID))
		}
		if b.Size > 0 && b.Data == nil {
			return nil, 0, bad("%d bytes of nothing", b.Size)
		}
		w.buf = append32(w.buf, uint32(b.ID), b.Index)
	case CheckpointState:
		w.buf = append32(w.buf, uint32(b))
	case *Optional:
		if !b.Kind.IsOptional() || b.Size > 0 && b.Data == nil {
			return nil, 0, bad("%v is not optional, or has no content", b.Kind)
		}
	case *DiskBegin, *DiskData, *DiskZero, *DiskRound, *DiskEnd:
		w.buf, tail = appendDisk(w.buf, b)
	case *DirtyPFNs:
	default:
		return nil, 0, bad("a body of type %T", b)
	}
	return tail, len(tail), err
}

// streamOf returns what of b is not held in memory, and how many bytes that is.
func streamOf(b Body) (src io.Reader, size int64) {
	switch b := b.(type) {
	case *P2MFrames:
		return pfnBytes{&b.Frames}, 8 * int64(b.Frames.Len())
	case *DirtyPFNs:
		return pfnBytes{&b.PFNs}, 8 * int64(b.PFNs.Len())
	case *EmulatorContext:
		return b.Data, int64(b.Size)
	case *Optional:
		return b.Data, int64(b.Size)
	}
	return nil, 0
}

// pfnBytes gives the numbers of a list as they are in the stream. What reads it
// asks for multiples of 8 bytes.
type pfnBytes struct{ list *PFNList }

// Read implements io.Reader.
func (p pfnBytes) Read(b []byte) (int, error) {
	var numbers [64]abi.PFN
	n, err := p.list.Read(numbers[:min(len(numbers), len(b)/8)])
	for i, pfn := range numbers[:n] {
		binary.LittleEndian.PutUint64(b[8*i:], uint64(pfn))
	}
	return 8 * n, err
}

// sourceError says that the body to be written could not be read.
type sourceError struct {
	got, want int64
	err       error
}

func (e sourceError) Error() string {
	return fmt.Sprintf("its content ends after %d of %d bytes: %v", e.got, e.want, e.err)
}

func (e sourceError) Unwrap() error { return e.err }
