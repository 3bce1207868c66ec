package packet

import (
	"encoding/binary"

	"goxl/netback/netif"
)

// Offload returns the header under which frame f goes to the tap, and why it must
// be dropped instead. A frame that stands for many segments must have its checksum
// blank; frontends are known that do not say so, whose checksum field is set here.
func Offload(f []byte, p *Tx) (VNet, error) {
	var h VNet
	if p.GSO == netif.GSONone && !p.ChecksumBlank {
		return h, nil // the host's stack looks at the checksum itself, whatever the guest says
	}
	t, err := findTransport(f)
	if err != nil {
		return h, err
	}
	h.Flags = vnetNeedsChecksum
	h.ChecksumStart, h.ChecksumOffset = uint16(t.start), uint16(t.checksum)
	if p.GSO == netif.GSONone {
		return h, nil
	}
	switch {
	case t.proto != protoTCP:
		return h, errGSOKind
	case p.GSO == netif.GSOTCPv4 && t.ether == etherIPv4:
		h.GSOType = vnetTCPv4
	case p.GSO == netif.GSOTCPv6 && t.ether == etherIPv6:
		h.GSOType = vnetTCPv6
	default:
		return h, errGSOKind
	}
	h.HeaderLen, h.SegmentSize = uint16(t.end), p.SegmentSize
	if !p.ChecksumBlank {
		binary.BigEndian.PutUint16(f[t.start+t.checksum:], fold(t.pseudo(f)))
	}
	return h, nil
}

// pseudo is the sum of the pseudo header of f's transport.
func (t *transport) pseudo(f []byte) uint64 {
	s := uint64(t.proto) + uint64(len(f)-t.start)
	if t.ether == etherIPv4 {
		return s + sum(f[t.ip+12:t.ip+20])
	}
	return s + sum(f[t.ip+8:t.ip+40])
}

// completeChecksum does in software what h asks for, and clears the request.
func completeChecksum(f []byte, h *VNet) bool {
	start, at := int(h.ChecksumStart), int(h.ChecksumStart)+int(h.ChecksumOffset)
	if at+2 > len(f) {
		return false
	}
	c := ^fold(sum(f[start:])) // the field holds the pseudo header's sum
	if c == 0 && h.ChecksumOffset == udpChecksum {
		c = 0xFFFF // zero says that there is none
	}
	binary.BigEndian.PutUint16(f[at:], c)
	h.Flags &^= vnetNeedsChecksum
	return true
}

// sum adds the big-endian 16-bit words of b; a last odd byte counts as the upper
// half of one. Sums of frames are far from overflow.
func sum(b []byte) uint64 {
	var s uint64
	for ; len(b) >= 8; b = b[8:] {
		v := binary.BigEndian.Uint64(b)
		s += v>>48 + v>>32&0xFFFF + v>>16&0xFFFF + v&0xFFFF
	}
	for ; len(b) >= 2; b = b[2:] {
		s += uint64(b[0])<<8 | uint64(b[1])
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	return s
}

// fold makes a sum one's complement of 16 bits.
func fold(s uint64) uint16 {
	for s > 0xFFFF {
		s = s>>16 + s&0xFFFF
	}
	return uint16(s)
}
