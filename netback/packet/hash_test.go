package packet

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"goxl/netback/netif"
)

// rssKey and rssVectors are those that Microsoft publishes for the verification of
// receive side scaling ("Verifying the RSS hash calculation").
const rssKey = "6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa"

var rssVectors = []struct {
	src, dst         string
	srcPort, dstPort uint16
	addresses, ports uint32
}{
	{"66.9.149.187", "161.142.100.80", 2794, 1766, 0x323e8fc2, 0x51ccc178},
	{"199.92.111.2", "65.69.140.83", 14230, 4739, 0xd718262a, 0xc626b0ea},
	{"24.19.198.95", "12.22.207.184", 12898, 38024, 0xd2d0a5de, 0x5c2b394a},
	{"38.27.205.30", "209.142.163.6", 48228, 2217, 0x82989176, 0xafc7327f},
	{"153.39.163.191", "202.188.127.2", 44251, 1303, 0x5d1809c5, 0x10e828a2},
	{"3ffe:2501:200:1fff::7", "3ffe:2501:200:3::1", 2794, 1766, 0x2cc18cd5, 0x40207d3d},
	{"3ffe:501:8::260:97ff:fe40:efab", "ff02::1", 14230, 4739, 0x0f0c461c, 0xdde51bbf},
	{"3ffe:1900:4545:3:200:f8ff:fe21:67cf", "fe80::200:f8ff:fe21:67cf", 44251, 38024, 0x4b61e985, 0x02d1feef},
}

const everyHash = netif.HashIPv4 | netif.HashIPv4TCP | netif.HashIPv6 | netif.HashIPv6TCP

func rss(t *testing.T) *Toeplitz {
	t.Helper()
	key, err := hex.DecodeString(rssKey)
	if err != nil || len(key) != MaxHashKey {
		t.Fatal(len(key), err)
	}
	return NewToeplitz(key)
}

func TestRSSVectors(t *testing.T) {
	hash := rss(t)
	for _, v := range rssVectors {
		f, plain, tcp := eth(etherIPv4).ipv4(protoTCP, v.src, v.dst, 20), uint8(0), uint8(1)
		if netip.MustParseAddr(v.src).Is6() {
			f, plain, tcp = eth(etherIPv6).ipv6(protoTCP, v.src, v.dst, 20), 2, 3
		}
		at := len(f)
		f = f.tcp(0)
		binary.BigEndian.PutUint16(f[at:], v.srcPort)
		binary.BigEndian.PutUint16(f[at+2:], v.dstPort)
		if h, ok := hash.Frame(f, everyHash); !ok || h != (Hash{v.ports, tcp}) {
			t.Errorf("%s to %s with ports: %#x %v, want %#x", v.src, v.dst, h, ok, v.ports)
		}
		if h, ok := hash.Frame(f.vlan(), everyHash&^(1<<tcp)); !ok || h != (Hash{v.addresses, plain}) {
			t.Errorf("%s to %s: %#x %v, want %#x", v.src, v.dst, h, ok, v.addresses)
		}
	}
}

func TestHashCovers(t *testing.T) {
	hash := rss(t)
	fragment := tcp4(30)
	fragment[ethHeader+6] = 0x20 // more follow
	longIP := tcp4(30)
	longIP[ethHeader] = 0x4f // options to the end of the frame and beyond
	for _, tt := range []struct {
		name  string
		frame frame
		types netif.HashTypes
		typ   uint8
		ok    bool
	}{
		{"TCP over IPv4, all", tcp4(10), everyHash, 1, true},
		{"TCP over IPv4, ports only", tcp4(10), netif.HashIPv4TCP, 1, true},
		{"TCP over IPv4, addresses only", tcp4(10), netif.HashIPv4, 0, true},
		{"TCP over IPv4, other kind only", tcp4(10), netif.HashIPv6 | netif.HashIPv6TCP, 0, false},
		{"TCP over IPv4, none", tcp4(10), 0, 0, false},
		{"UDP over IPv4", udp4(10), everyHash, 0, true},
		{"UDP over IPv4, TCP only", udp4(10), netif.HashIPv4TCP, 0, false},
		{"piece of TCP over IPv4", fragment, everyHash, 0, true},
		{"piece of TCP over IPv4, TCP only", fragment, netif.HashIPv4TCP, 0, false},
		{"TCP over IPv6", tcp6(10), everyHash, 3, true},
		{"TCP over IPv6, addresses only", tcp6(10), netif.HashIPv6, 2, true},
		{"TCP over IPv6, other kind only", tcp6(10), netif.HashIPv4 | netif.HashIPv4TCP, 0, false},
		{"TCP header cut off", tcp4(0)[:ethHeader+20+3], everyHash, 0, true},
		{"IPv4 header cut off", tcp4(0)[:ethHeader+19], everyHash, 0, false},
		{"IPv4 header longer than the frame", longIP[:60], everyHash, 0, false},
		{"IPv6 header cut off", tcp6(0)[:ethHeader+39], everyHash, 0, false},
		{"ARP", eth(etherARP), everyHash, 0, false},
		{"nothing", nil, everyHash, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if h, ok := hash.Frame(tt.frame, tt.types); ok != tt.ok || h.Type != tt.typ {
				t.Errorf("Frame() = %+v, %v, want type %d, %v", h, ok, tt.typ, tt.ok)
			}
		})
	}
}

// TestToeplitzIsBitByBit compares with the definition: a window of 32 bits moves along
// the key, and is added up where the input has a bit.
func TestToeplitzIsBitByBit(t *testing.T) {
	bit := func(b []byte, i int) uint32 {
		if i/8 >= len(b) {
			return 0
		}
		return uint32(b[i/8]>>(7-i%8)) & 1
	}
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 0, MaxHashKey).Draw(t, "key")
		in := rapid.SliceOfN(rapid.Byte(), 0, maxHashInput).Draw(t, "input")
		var want uint32
		for i := range len(in) * 8 {
			var window uint32
			for j := range 32 {
				window = window<<1 | bit(key, i+j)
			}
			want ^= window * bit(in, i)
		}
		if got := NewToeplitz(key).Sum(in); got != want {
			t.Errorf("Sum() = %#x, want %#x", got, want)
		}
	})
}

func FuzzFrameHash(f *testing.F) {
	for _, b := range []frame{tcp4(10), udp4(10), tcp6(10), tcp4(9).vlan(), eth(etherARP)} {
		f.Add([]byte(b), uint32(everyHash))
	}
	key, _ := hex.DecodeString(rssKey)
	hash := NewToeplitz(key)
	f.Fuzz(func(t *testing.T, b []byte, types uint32) {
		h, ok := hash.Frame(b, netif.HashTypes(types))
		if ok && types&(1<<h.Type) == 0 {
			t.Errorf("a hash of type %d, which is not in %#x", h.Type, types)
		}
	})
}

func BenchmarkFrameHash(b *testing.B) {
	hash := NewToeplitz(make([]byte, MaxHashKey))
	for name, f := range map[string]frame{"IPv4": tcp4(1400), "IPv6": tcp6(1400)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				hash.Frame(f, everyHash)
			}
		})
	}
}

// TestRxHash holds what stands in the slots of a frame with both extra infos.
func TestRxHash(t *testing.T) {
	p, err := NewRx(tcp4(5000).blank(), VNet{vnetNeedsChecksum, vnetTCPv4, 54, 1448, 34, 16}, all)
	if err != nil {
		t.Fatal(err)
	}
	p.SetHash(Hash{0x0a0b0c0d, hashIPv4TCP})
	if p.Slots() != 4 {
		t.Fatalf("%d slots", p.Slots())
	}
	for i, want := range []string{
		"0900" + "0000" + "0f00" + "0010", // checksum blank and valid, more data, extra info; a page
		"01" + "01" + "a805" + "01" + "00" + "0000",
		"04" + "00" + "01" + "01" + "0d0c0b0a",
		"0900" + "0000" + "0000" + "be03",
	} {
		var slot [netif.RxSlotSize]byte
		p.Put(slot[:], i, netif.RxRequest{ID: 9})
		if got := hex.EncodeToString(slot[:]); got != want {
			t.Errorf("slot %d is %s, want %s", i, got, want)
		}
	}
	lone, _ := NewRx(tcp4(10), VNet{}, all)
	lone.SetHash(Hash{1, hashIPv4})
	var slot [netif.RxSlotSize]byte
	if lone.Slots() != 2 {
		t.Fatalf("%d slots without segmentation", lone.Slots())
	}
	lone.Put(slot[:], 1, netif.RxRequest{})
	if got := netif.ParseExtra(slot[:]); got != (netif.Extra{Type: netif.ExtraHash, Algorithm: netif.HashToeplitz, Hash: 1}) {
		t.Errorf("extra info %+v", got)
	}
}
