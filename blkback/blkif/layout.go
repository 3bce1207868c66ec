package blkif

import (
	"encoding/binary"
	"fmt"

	"goxl/xenctrl/abi"
)

// Layout is how a frontend lays out its slots: 32-bit x86 aligns 64-bit numbers to
// four bytes.
type Layout uint8

// The layouts.
const (
	X86_64 Layout = iota // also Arm's
	X86_32
)

// ParseProtocol reads the frontend's node "protocol"; "" is the backend's own.
func ParseProtocol(s string) (Layout, error) {
	switch s {
	case "", "x86_64-abi", "arm-abi":
		return X86_64, nil
	case "x86_32-abi":
		return X86_32, nil
	}
	return 0, fmt.Errorf("unknown protocol %.32q", s)
}

// Sizes of the protocol.
const (
	SectorSize      = 512
	MaxSegments     = 11 // BLKIF_MAX_SEGMENTS_PER_REQUEST
	MaxPages        = 8  // BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST
	SegmentSize     = 8
	SegmentsPerPage = abi.PageSize / SegmentSize
	sectorsPerPage  = abi.PageSize / SectorSize
)

// Op is what a request asks for.
type Op uint8

// The operations.
const (
	Read    Op = 0 // BLKIF_OP_READ
	Write   Op = 1 // BLKIF_OP_WRITE
	Barrier Op = 2 // BLKIF_OP_WRITE_BARRIER
	Flush   Op = 3 // BLKIF_OP_FLUSH_DISKCACHE
	Discard Op = 5 // BLKIF_OP_DISCARD

	indirect Op = 6 // BLKIF_OP_INDIRECT: the real one stands beside it
)

// Status is the outcome of a request.
type Status int16

// The outcomes.
const (
	OK          Status = 0  // BLKIF_RSP_OKAY
	Error       Status = -1 // BLKIF_RSP_ERROR
	Unsupported Status = -2 // BLKIF_RSP_EOPNOTSUPP
)

// Segment is a part of a granted page: sectors First to Last of it.
type Segment struct {
	Ref         abi.GrantRef
	First, Last uint8
}

// Offset is where in the page the segment starts, in bytes.
func (s Segment) Offset() uint16 { return uint16(s.First) * SectorSize }

// Len is its length in bytes. It is that of a valid segment only.
func (s Segment) Len() int { return (int(s.Last) - int(s.First) + 1) * SectorSize }

// Request is a request as it was sent, in either layout. Its fields say what the
// guest wrote: Check tells whether they make sense.
type Request struct {
	Op       Op
	Indirect bool // segments stand in granted pages
	Secure   bool // a discard that has to destroy the data
	ID       uint64
	Sector   uint64
	Sectors  uint64 // of a discard
	Count    int    // number of segments, also beyond what there may be
	Segments [MaxSegments]Segment
	Pages    [MaxPages]abi.GrantRef // of an indirect request
}

// SlotSize is the length of a slot, a whole number of words.
func (l Layout) SlotSize() int {
	if l == X86_32 {
		return 108
	}
	return 112
}

// ResponseSize is the length of a response.
func (l Layout) ResponseSize() int {
	if l == X86_32 {
		return 12
	}
	return 16
}

// id returns the offset of the id, which all later ones follow from.
func (l Layout) id() int {
	if l == X86_32 {
		return 4
	}
	return 8
}

// Decode sets r to the request in a slot's bytes, which must be private to the
// caller. It takes any bytes.
func (l Layout) Decode(r *Request, slot []byte) {
	le := binary.LittleEndian
	b := slot[l.id():l.SlotSize()]
	*r = Request{Op: Op(slot[0]), ID: le.Uint64(b), Sector: le.Uint64(b[8:])}
	switch r.Op {
	case indirect:
		r.Op, r.Indirect = Op(slot[1]), true
		r.Count = int(le.Uint16(slot[2:]))
		for i := range r.Pages {
			r.Pages[i] = abi.GrantRef(le.Uint32(b[20+4*i:]))
		}
	case Discard:
		r.Secure = slot[1]&1 != 0
		r.Sectors = le.Uint64(b[16:])
	default:
		r.Count = int(slot[1])
		DecodeSegments(r.Segments[:], b[16:])
	}
}

// DecodeSegments fills segs from the start of a page or slot.
func DecodeSegments(segs []Segment, b []byte) {
	for i := range segs {
		s := b[i*SegmentSize : (i+1)*SegmentSize]
		segs[i] = Segment{abi.GrantRef(binary.LittleEndian.Uint32(s)), s[4], s[5]}
	}
}

// Put writes a frontend's request to a slot.
func (l Layout) Put(slot []byte, r *Request, handle uint16) {
	le := binary.LittleEndian
	slot = slot[:l.SlotSize()]
	clear(slot)
	b := slot[l.id():]
	le.PutUint64(b, r.ID)
	le.PutUint64(b[8:], r.Sector)
	switch {
	case r.Indirect:
		slot[0], slot[1] = byte(indirect), byte(r.Op)
		le.PutUint16(slot[2:], uint16(r.Count))
		le.PutUint16(b[16:], handle)
		for i, p := range r.Pages {
			le.PutUint32(b[20+4*i:], uint32(p))
		}
		return
	case r.Op == Discard:
		slot[0] = byte(Discard)
		if r.Secure {
			slot[1] = 1
		}
		le.PutUint64(b[16:], r.Sectors)
	default:
		slot[0], slot[1] = byte(r.Op), byte(r.Count)
		EncodeSegments(b[16:], r.Segments[:])
	}
	le.PutUint16(slot[2:], handle)
}

// EncodeSegments writes segments to a page or slot.
func EncodeSegments(b []byte, segs []Segment) {
	for i, s := range segs {
		binary.LittleEndian.PutUint32(b[i*SegmentSize:], uint32(s.Ref))
		b[i*SegmentSize+4], b[i*SegmentSize+5] = s.First, s.Last
	}
}

// PutResponse writes a response to the start of b and returns its length. Padding is
// zero (XSA-216). The operation of an indirect request is the one inside it: Linux's
// blkfront holds the response to that.
func (l Layout) PutResponse(b []byte, id uint64, op Op, s Status) int {
	b = b[:l.ResponseSize()]
	clear(b)
	binary.LittleEndian.PutUint64(b, id)
	b[8] = byte(op)
	binary.LittleEndian.PutUint16(b[10:], uint16(s))
	return len(b)
}

// Response is what a frontend gets.
type Response struct {
	ID     uint64
	Op     Op
	Status Status
}

// DecodeResponse reads a response; both layouts have the same.
func DecodeResponse(b []byte) Response {
	return Response{binary.LittleEndian.Uint64(b), Op(b[8]), Status(binary.LittleEndian.Uint16(b[10:]))}
}
