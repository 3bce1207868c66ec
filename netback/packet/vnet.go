package packet

import "encoding/binary"

// VNetSize is the size of a tap's header before each frame, in bytes.
const VNetSize = 10

// The header's flags and types. Source: virtio specification 1.1, 5.1.6.
const (
	vnetNeedsChecksum = 1
	vnetDataValid     = 2

	vnetTCPv4 = 1
	vnetTCPv6 = 4
	vnetECN   = 0x80
)

// VNet is the header that a tap with IFF_VNET_HDR has before each frame: struct
// virtio_net_hdr, little-endian.
type VNet struct {
	Flags          uint8
	GSOType        uint8
	HeaderLen      uint16 // bytes before the payload; a hint
	SegmentSize    uint16
	ChecksumStart  uint16 // where the sum starts
	ChecksumOffset uint16 // where it goes, from there
}

// ParseVNet reads a header of VNetSize bytes.
func ParseVNet(b []byte) VNet {
	_ = b[VNetSize-1]
	return VNet{
		b[0], b[1], binary.LittleEndian.Uint16(b[2:]), binary.LittleEndian.Uint16(b[4:]),
		binary.LittleEndian.Uint16(b[6:]), binary.LittleEndian.Uint16(b[8:]),
	}
}

// Put writes h to VNetSize bytes.
func (h VNet) Put(b []byte) {
	_ = b[VNetSize-1]
	b[0], b[1] = h.Flags, h.GSOType
	binary.LittleEndian.PutUint16(b[2:], h.HeaderLen)
	binary.LittleEndian.PutUint16(b[4:], h.SegmentSize)
	binary.LittleEndian.PutUint16(b[6:], h.ChecksumStart)
	binary.LittleEndian.PutUint16(b[8:], h.ChecksumOffset)
}
