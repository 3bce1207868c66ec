package netif

import "encoding/binary"

// ExtraSize is the size of an extra info in bytes; it fits into a slot of the
// transmit and of the receive ring.
const ExtraSize = 8

// ExtraType says what an extra info is about. Source: netif.h,
// XEN_NETIF_EXTRA_TYPE_*.
type ExtraType uint8

// The types. Others, zero among them, are a mistake of the guest's.
const (
	ExtraGSO       ExtraType = 1
	ExtraMcastAdd  ExtraType = 2
	ExtraMcastDel  ExtraType = 3
	ExtraHash      ExtraType = 4
	extraTypeLimit ExtraType = 5 // XEN_NETIF_EXTRA_TYPE_MAX
)

// Valid reports whether t is a type of this protocol.
func (t ExtraType) Valid() bool { return t > 0 && t < extraTypeLimit }

// extraMore says that another extra info follows. Source: XEN_NETIF_EXTRA_FLAG_MORE.
const extraMore = 1

// GSOType names the protocol of a packet that stands for many segments. Source:
// netif.h, XEN_NETIF_GSO_TYPE_*.
type GSOType uint8

// The types.
const (
	GSONone  GSOType = 0
	GSOTCPv4 GSOType = 1
	GSOTCPv6 GSOType = 2
)

// Extra is what an extra info slot says. Only the fields of its type count.
// Source: netif.h, struct netif_extra_info.
type Extra struct {
	Type ExtraType
	More bool // another extra info follows

	SegmentSize uint16 // GSO: payload bytes of a segment
	GSO         GSOType
	GSOFeatures uint16

	Addr [6]byte // of ExtraMcastAdd and ExtraMcastDel

	HashType  uint8 // number of the bit in a HashTypes
	Algorithm HashAlgorithm
	Hash      uint32
}

// ParseExtra reads an extra info from a slot.
func ParseExtra(b []byte) Extra {
	_ = b[ExtraSize-1]
	e := Extra{Type: ExtraType(b[0]), More: b[1]&extraMore != 0}
	switch e.Type {
	case ExtraGSO:
		e.SegmentSize = binary.LittleEndian.Uint16(b[2:])
		e.GSO = GSOType(b[4])
		e.GSOFeatures = binary.LittleEndian.Uint16(b[6:])
	case ExtraMcastAdd, ExtraMcastDel:
		copy(e.Addr[:], b[2:])
	case ExtraHash:
		e.HashType, e.Algorithm = b[2], HashAlgorithm(b[3])
		e.Hash = binary.LittleEndian.Uint32(b[4:])
	}
	return e
}

// Put writes e to a slot. What no field covers is zero.
func (e *Extra) Put(b []byte) {
	clear(b[:ExtraSize])
	b[0] = byte(e.Type)
	if e.More {
		b[1] = extraMore
	}
	switch e.Type {
	case ExtraGSO:
		binary.LittleEndian.PutUint16(b[2:], e.SegmentSize)
		b[4] = byte(e.GSO)
		binary.LittleEndian.PutUint16(b[6:], e.GSOFeatures)
	case ExtraMcastAdd, ExtraMcastDel:
		copy(b[2:], e.Addr[:])
	case ExtraHash:
		b[2], b[3] = e.HashType, byte(e.Algorithm)
		binary.LittleEndian.PutUint32(b[4:], e.Hash)
	}
}
