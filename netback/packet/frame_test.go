package packet

import (
	"encoding/binary"
	"net/netip"
)

// frame makes Ethernet frames for tests.
type frame []byte

var (
	macA = [6]byte{0x00, 0x16, 0x3e, 1, 2, 3}
	macB = [6]byte{0x00, 0x16, 0x3e, 4, 5, 6}
)

func eth(proto uint16) frame {
	f := append(frame(nil), macB[:]...)
	f = append(f, macA[:]...)
	return binary.BigEndian.AppendUint16(f, proto)
}

// vlan puts a tag before the protocol.
func (f frame) vlan() frame {
	tagged := append(frame(nil), f[:12]...)
	tagged = append(tagged, 0x81, 0, 0, 5)
	return append(tagged, f[12:]...)
}

func (f frame) ipv4(proto byte, src, dst string, payload int) frame {
	h := make([]byte, 20)
	h[0], h[8], h[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(h[2:], uint16(20+payload))
	copy(h[12:], netip.MustParseAddr(src).AsSlice())
	copy(h[16:], netip.MustParseAddr(dst).AsSlice())
	binary.BigEndian.PutUint16(h[10:], ^fold(sum(h)))
	return append(f, h...)
}

func (f frame) ipv6(proto byte, src, dst string, payload int) frame {
	h := make([]byte, 40)
	h[0], h[6], h[7] = 0x60, proto, 64
	binary.BigEndian.PutUint16(h[4:], uint16(payload))
	copy(h[8:], netip.MustParseAddr(src).AsSlice())
	copy(h[24:], netip.MustParseAddr(dst).AsSlice())
	return append(f, h...)
}

func (f frame) tcp(payload int) frame {
	h := make([]byte, 20+payload)
	binary.BigEndian.PutUint16(h, 4000)
	binary.BigEndian.PutUint16(h[2:], 80)
	h[12] = 5 << 4
	for i := range payload {
		h[20+i] = byte(i*7 + 1)
	}
	return append(f, h...)
}

func (f frame) udp(from, to uint16, payload int) frame {
	h := make([]byte, 8+payload)
	binary.BigEndian.PutUint16(h, from)
	binary.BigEndian.PutUint16(h[2:], to)
	binary.BigEndian.PutUint16(h[4:], uint16(8+payload))
	return append(f, h...)
}

// blank sets the checksum to the pseudo header's sum, as a stack does that leaves
// the rest to the hardware.
func (f frame) blank() frame {
	t, err := findTransport(f)
	if err != nil {
		panic(err)
	}
	binary.BigEndian.PutUint16(f[t.start+t.checksum:], fold(t.pseudo(f)))
	return f
}

// sumRight reports whether the transport checksum is right.
func (f frame) sumRight() bool {
	t, err := findTransport(f)
	return err == nil && fold(t.pseudo(f)+sum(f[t.start:])) == 0xFFFF
}

func tcp4(payload int) frame {
	return eth(etherIPv4).ipv4(protoTCP, "10.0.0.1", "10.0.0.2", 20+payload).tcp(payload)
}

func tcp6(payload int) frame {
	return eth(etherIPv6).ipv6(protoTCP, "2001:db8::1", "2001:db8::2", 20+payload).tcp(payload)
}

func udp4(payload int) frame {
	return eth(etherIPv4).ipv4(protoUDP, "10.0.0.1", "10.0.0.2", 8+payload).udp(5, 6, payload)
}
