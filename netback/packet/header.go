package packet

import (
	"encoding/binary"
	"errors"
)

// Numbers of the protocols that are looked into. Source: IEEE 802.3, IANA.
const (
	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherIPv6 = 0x86DD
	etherVLAN = 0x8100
	etherQinQ = 0x88A8

	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58

	ipv6HopByHop = 0
	ipv6Routing  = 43
	ipv6Options  = 60
)

// Where things are in headers, in bytes.
const (
	maxVLANTags    = 2
	maxIPv6Headers = 8
	ipv4Min        = 20
	ipv6Min        = 40
	tcpMin         = 20
	udpMin         = 8
	tcpChecksum    = 16
	udpChecksum    = 6
)

// Reasons to drop a frame that asks for an offload.
var (
	errNoTransport = errors.New("offload asked for a frame without a whole TCP or UDP header")
	errFragment    = errors.New("offload asked for a piece of an IP packet")
	errGSOKind     = errors.New("segmentation offload does not match the frame's protocol")
)

// transport is where a frame has its TCP or UDP header.
type transport struct {
	ether    uint16 // etherIPv4 or etherIPv6
	ip       int    // offset of the IP header
	proto    uint8
	start    int // offset of the transport header
	checksum int // offset of the checksum from there
	end      int // offset of the payload
}

// etherType returns a frame's protocol behind VLAN tags, and where it starts.
func etherType(f []byte) (uint16, int) {
	if len(f) < ethHeader {
		return 0, len(f)
	}
	t, at := binary.BigEndian.Uint16(f[12:]), ethHeader
	for range maxVLANTags {
		if t != etherVLAN && t != etherQinQ || len(f) < at+4 {
			break
		}
		t = binary.BigEndian.Uint16(f[at+2:])
		at += 4
	}
	return t, at
}

// findTransport finds a frame's TCP or UDP header, all of which lies in the frame.
func findTransport(f []byte) (transport, error) {
	ether, at := etherType(f)
	t := transport{ether: ether, ip: at}
	var err error
	switch ether {
	case etherIPv4:
		err = t.throughIPv4(f)
	case etherIPv6:
		err = t.throughIPv6(f)
	default:
		return t, errNoTransport
	}
	if err != nil {
		return t, err
	}
	switch t.proto {
	case protoTCP:
		if len(f) < t.start+tcpMin {
			return t, errNoTransport
		}
		n := int(f[t.start+12]>>4) * 4
		if n < tcpMin || len(f) < t.start+n {
			return t, errNoTransport
		}
		t.checksum, t.end = tcpChecksum, t.start+n
	case protoUDP:
		if len(f) < t.start+udpMin {
			return t, errNoTransport
		}
		t.checksum, t.end = udpChecksum, t.start+udpMin
	default:
		return t, errNoTransport
	}
	return t, nil
}

func (t *transport) throughIPv4(f []byte) error {
	if len(f) < t.ip+ipv4Min || f[t.ip]>>4 != 4 {
		return errNoTransport
	}
	n := int(f[t.ip]&15) * 4
	if n < ipv4Min || len(f) < t.ip+n {
		return errNoTransport
	}
	if binary.BigEndian.Uint16(f[t.ip+6:])&0x3FFF != 0 { // more fragments, or not the first
		return errFragment
	}
	t.proto, t.start = f[t.ip+9], t.ip+n
	return nil
}

func (t *transport) throughIPv6(f []byte) error {
	if len(f) < t.ip+ipv6Min || f[t.ip]>>4 != 6 {
		return errNoTransport
	}
	t.proto, t.start = f[t.ip+6], t.ip+ipv6Min
	for range maxIPv6Headers {
		switch t.proto {
		case ipv6HopByHop, ipv6Routing, ipv6Options:
		default:
			return nil // a fragment header is not among them: it ends as no transport
		}
		if len(f) < t.start+8 {
			return errNoTransport
		}
		t.proto, t.start = f[t.start], t.start+(int(f[t.start+1])+1)*8
	}
	return errNoTransport
}
