package packet

import (
	"bytes"
	"encoding/binary"
	"testing"

	"goxl/netback/netif"
)

func TestOffload(t *testing.T) {
	blank := Tx{ChecksumBlank: true}
	seg := func(k netif.GSOType) Tx { return Tx{ChecksumBlank: true, GSO: k, SegmentSize: 1448} }
	fragment := tcp4(100)
	fragment[14+6] = 0x20
	short := tcp4(0)
	short[14+20+12] = 6 << 4 // options that are not there
	options := eth(etherIPv6).ipv6(ipv6HopByHop, "2001:db8::1", "2001:db8::2", 28)
	options = append(options, protoTCP, 0, 0, 0, 0, 0, 0, 0).tcp(8)
	for _, tt := range []struct {
		name  string
		frame frame
		p     Tx
		want  VNet
		err   error
	}{
		{"nothing to do", tcp4(10), Tx{Validated: true}, VNet{}, nil},
		{"not IP, nothing to do", eth(0x1234), Tx{}, VNet{}, nil},
		{"TCP over IPv4", tcp4(10), blank, VNet{Flags: 1, ChecksumStart: 34, ChecksumOffset: 16}, nil},
		{"UDP over IPv4", udp4(10), blank, VNet{Flags: 1, ChecksumStart: 34, ChecksumOffset: 6}, nil},
		{"TCP over IPv6", tcp6(10), blank, VNet{Flags: 1, ChecksumStart: 54, ChecksumOffset: 16}, nil},
		{"in a VLAN", tcp4(10).vlan(), blank, VNet{Flags: 1, ChecksumStart: 38, ChecksumOffset: 16}, nil},
		{"in two VLANs", tcp4(10).vlan().vlan(), blank, VNet{Flags: 1, ChecksumStart: 42, ChecksumOffset: 16}, nil},
		{"behind IPv6 options", options, blank, VNet{Flags: 1, ChecksumStart: 62, ChecksumOffset: 16}, nil},
		{"segments over IPv4", tcp4(4000), seg(netif.GSOTCPv4), VNet{1, 1, 54, 1448, 34, 16}, nil},
		{"segments over IPv6", tcp6(4000), seg(netif.GSOTCPv6), VNet{1, 4, 74, 1448, 54, 16}, nil},
		{"segments of the other family", tcp6(4000), seg(netif.GSOTCPv4), VNet{}, errGSOKind},
		{"segments of UDP", udp4(4000), seg(netif.GSOTCPv4), VNet{}, errGSOKind},
		{"not IP", eth(etherARP), blank, VNet{}, errNoTransport},
		{"IPv4 header cut", tcp4(0)[:30], blank, VNet{}, errNoTransport},
		{"TCP header cut", tcp4(0)[:50], blank, VNet{}, errNoTransport},
		{"TCP options cut", short, blank, VNet{}, errNoTransport},
		{"UDP header cut", udp4(0)[:40], blank, VNet{}, errNoTransport},
		{"a fragment", fragment, blank, VNet{}, errFragment},
		{"ICMP", eth(etherIPv4).ipv4(1, "10.0.0.1", "10.0.0.2", 40).tcp(0), blank, VNet{}, errNoTransport},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, err := Offload(tt.frame, &tt.p)
			if err != tt.err {
				t.Fatalf("Offload() = %v, want %v", err, tt.err)
			}
			if err == nil && h != tt.want {
				t.Errorf("header %+v, want %+v", h, tt.want)
			}
			var b [VNetSize]byte
			h.Put(b[:])
			if ParseVNet(b[:]) != h {
				t.Errorf("header %+v is written as %x", h, b)
			}
		})
	}
}

// TestSegmentsWithoutBlank corrects what frontends with that error leave.
func TestSegmentsWithoutBlank(t *testing.T) {
	for _, f := range []frame{tcp4(3000), tcp6(3000)} {
		p := Tx{GSO: netif.GSOTCPv4, SegmentSize: 1448}
		if f[12] == 0x86 {
			p.GSO = netif.GSOTCPv6
		}
		want := append(frame(nil), f...).blank()
		h, err := Offload(f, &p)
		if err != nil || h.Flags != vnetNeedsChecksum || !bytes.Equal(f, want) {
			t.Errorf("header %+v, %v; checksum field right: %v", h, err, bytes.Equal(f, want))
		}
	}
}

func TestCompleteChecksum(t *testing.T) {
	for name, f := range map[string]frame{"tcp4": tcp4(101), "tcp6": tcp6(64), "udp4": udp4(33)} {
		f.blank()
		tr, _ := findTransport(f)
		h := VNet{Flags: vnetNeedsChecksum, ChecksumStart: uint16(tr.start), ChecksumOffset: uint16(tr.checksum)}
		if !completeChecksum(f, &h) || h.Flags != 0 || !f.sumRight() {
			t.Errorf("%s: header %+v, sum right: %v", name, h, f.sumRight())
		}
	}
}

// TestUDPChecksumZero holds that a sum of zero is written as its other form: zero
// says that there is no checksum.
func TestUDPChecksumZero(t *testing.T) {
	f := udp4(2).blank()
	binary.BigEndian.PutUint16(f[42:], 0xFFFF-fold(sum(f[34:])))
	h := VNet{Flags: vnetNeedsChecksum, ChecksumStart: 34, ChecksumOffset: 6}
	if !completeChecksum(f, &h) || binary.BigEndian.Uint16(f[40:]) != 0xFFFF || !f.sumRight() {
		t.Errorf("the field holds %#x", f[40:42])
	}
	if completeChecksum(f[:41], &VNet{Flags: vnetNeedsChecksum, ChecksumStart: 34, ChecksumOffset: 6}) {
		t.Error("a checksum field that is cut off was completed")
	}
}

// FuzzOffload holds that what goes to the tap lies within the frame.
func FuzzOffload(f *testing.F) {
	f.Add([]byte(tcp4(20)), true, uint8(1), uint16(10))
	f.Add([]byte(tcp6(20).vlan()), false, uint8(2), uint16(10))
	f.Add([]byte(udp4(0)), true, uint8(0), uint16(0))
	f.Fuzz(func(t *testing.T, b []byte, blank bool, kind uint8, size uint16) {
		p := Tx{ChecksumBlank: blank, GSO: netif.GSOType(kind % 3), SegmentSize: size}
		h, err := Offload(b, &p)
		if err == nil && h.Flags != 0 && int(h.ChecksumStart)+int(h.ChecksumOffset)+2 > len(b) {
			t.Errorf("header %+v for %d bytes", h, len(b))
		}
		if err == nil && int(h.HeaderLen) > len(b) {
			t.Errorf("header %+v for %d bytes", h, len(b))
		}
		(&Guard{CheckMAC: true, IPs: nets("10.0.0.0/8")}).Allows(b)
		_, _ = NewRx(b, VNet{Flags: 3, ChecksumStart: size, ChecksumOffset: uint16(kind)}, Accepts{})
	})
}
