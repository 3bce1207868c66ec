package stream

import (
	"encoding/binary"
	"errors"
	"io"

	"goxl/xenctrl/abi"
)

// body reads the body of a record of type t.
func (r *Reader) body(t Type, length uint32) (Body, error) {
	if isMark(t) {
		return Mark(t), nil
	}
	switch t {
	case TypeP2MFrames, TypeDirtyPFNs, TypeEmulatorContext:
		return r.streamed(t, length)
	}
	if t.IsOptional() {
		return &Optional{t, length, r.section(int64(length), length)}, nil
	}
	b, err := r.fill(int(length) + padding(length))
	if err != nil {
		return nil, err
	}
	if err := r.zero(b[length:]); err != nil {
		return nil, err
	}
	return r.decode(t, b[:length:length])
}

// decode reads the body b, which has the shape of its type.
func (r *Reader) decode(t Type, b []byte) (Body, error) {
	if t.format() == ours {
		return decodeDisk(t, b, r.strict)
	}
	switch t {
	case TypePageData:
		r.pages.Verify = r.rules.hasLibxc(TypeVerify)
		return &r.pages, r.pages.decode(b, r.strict)
	case TypePVInfo:
		if r.strict && binary.LittleEndian.Uint64(b)>>16 != 0 {
			return nil, bad("reserved bytes are % x and not 0", b[2:])
		}
		return &PVInfo{b[0], b[1]}, nil
	case TypeVCPUBasic, TypeVCPUExtended, TypeVCPUXSave, TypeVCPUMSRs:
		v := &VCPU{Kind: t, ID: binary.LittleEndian.Uint32(b), Context: b[8:]}
		if r.strict {
			return v, reservedZero(binary.LittleEndian.Uint32(b[4:]))
		}
		return v, nil
	case TypeSharedInfo:
		return (*SharedInfo)(b), nil
	case TypeTSCInfo:
		return decodeTSCInfo(b, r.strict)
	case TypeHVMContext:
		return HVMContext(b), nil
	case TypeHVMParams:
		return decodeHVMParams(b, r.strict)
	case TypeToolstack:
		return Toolstack(b), nil
	case TypeCPUIDPolicy:
		return CPUIDPolicy(elements(b, abi.CPUIDLeafSize, abi.ParseCPUIDLeaf)), nil
	case TypeMSRPolicy:
		return MSRPolicy(elements(b, abi.PolicyMSRSize, abi.ParsePolicyMSR)), nil
	case TypeEmulatorStore:
		s := new(EmulatorStore)
		return s, s.decode(b)
	case TypeCheckpointState:
		return CheckpointState(binary.LittleEndian.Uint32(b)), nil
	}
	return nil, bad("no reader for it")
}

// streamed reads the fixed part of a body that is handed on as it comes.
func (r *Reader) streamed(t Type, length uint32) (Body, error) {
	if t == TypeDirtyPFNs {
		return &DirtyPFNs{PFNList{left: int(length / 8), src: r.section(int64(length), length)}}, nil
	}
	b := r.head[:8]
	if err := r.full(b, 0, int(length)); err != nil {
		return nil, err
	}
	first, second := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	rest := r.section(int64(length)-8, length)
	if t == TypeP2MFrames {
		return &P2MFrames{first, second, PFNList{left: int(length/8) - 1, src: rest}}, nil
	}
	if id := EmulatorID(first); id > EmulatorQEMU {
		return nil, bad("emulator %d is unknown", first)
	}
	return &EmulatorContext{EmulatorID(first), second, length - 8, rest}, nil
}

func elements[E any](b []byte, size int, parse func([]byte) E) []E {
	all := make([]E, len(b)/size)
	for i := range all {
		all[i] = parse(b[size*i:])
	}
	return all
}

// section is the rest of the current body: n bytes, and the padding that goes
// with its whole length.
func (r *Reader) section(n int64, length uint32) io.Reader {
	r.pad = padding(length)
	r.left = n + int64(r.pad)
	return section{r, r.serial}
}

// section reads a body as it comes, until the Reader goes on.
type section struct {
	r      *Reader
	serial uint64
}

var errStale = errors.New("the body of a record was read after the call of Next that followed")

// Read implements io.Reader.
func (s section) Read(p []byte) (int, error) {
	r := s.r
	if r.serial != s.serial {
		return 0, errStale
	}
	if r.err != nil {
		return 0, r.err
	}
	left := r.left - int64(r.pad)
	if left <= 0 {
		return 0, io.EOF
	}
	n, err := r.src.Read(p[:min(int64(len(p)), left)])
	r.off += int64(n)
	r.left -= int64(n)
	if err == io.EOF && int64(n) < left {
		done := r.off - r.here.Offset - 8
		return n, r.fail(shortError{done, done + left - int64(n)})
	}
	if err != nil && err != io.EOF {
		return n, r.fail(err)
	}
	return n, nil
}
