package packet

import (
	"encoding/binary"
	"errors"

	"goxl/netback/netif"
)

// MaxHashKey is how many bytes of a key count: as many as the longest input, the
// addresses and ports of TCP over IPv6, and four more.
const MaxHashKey = 40

const maxHashInput = MaxHashKey - 4

// Hash is the hash of a frame's addresses, and of its ports where Type says so. Value
// and type are those of an extra info.
type Hash struct {
	Value uint32
	Type  uint8 // number of the bit in netif.HashTypes
}

// The numbers of the types. Source: netif.h, _XEN_NETIF_CTRL_HASH_TYPE_*.
const (
	hashIPv4 = iota
	hashIPv4TCP
	hashIPv6
	hashIPv6TCP
)

// Toeplitz is a key of the hash of that name. It does not change, and may be used by
// several goroutines. The hash is the sum, without carry, of a 32-bit window of the key
// for each bit of the input that is set; the windows of four bits are added up before.
type Toeplitz struct {
	sums [2 * maxHashInput][16]uint32
}

// NewToeplitz takes a key of up to MaxHashKey bytes; what it is shorter, and bytes
// beyond, count as zero and not at all.
func NewToeplitz(key []byte) *Toeplitz {
	var k [MaxHashKey + 4]byte
	copy(k[:MaxHashKey], key)
	t := &Toeplitz{}
	for i := range t.sums {
		window := binary.BigEndian.Uint64(k[i/2:]) << (i % 2 * 4) // its upper 35 bits count
		for bits := range t.sums[i] {
			for j := range 4 {
				if bits&(8>>j) != 0 {
					t.sums[i][bits] ^= uint32(window << j >> 32)
				}
			}
		}
	}
	return t
}

// Sum returns the hash of b, which is at most as long as the addresses and ports of
// TCP over IPv6.
func (t *Toeplitz) Sum(b []byte) (sum uint32) {
	for i, c := range b {
		sum ^= t.sums[2*i][c>>4] ^ t.sums[2*i+1][c&15]
	}
	return sum
}

// Frame returns the hash of frame f, the one that covers most of those in types. It
// reports false when none covers it: what is not IP, is malformed, or is not asked for.
// A piece of an IP packet counts as one without ports, and so does what is not TCP.
func (t *Toeplitz) Frame(f []byte, types netif.HashTypes) (Hash, bool) {
	ether, at := etherType(f)
	tr := transport{ether: ether, ip: at}
	var addresses []byte
	var plain, tcp uint8
	switch ether {
	case etherIPv4:
		if err := tr.throughIPv4(f); err != nil && !errors.Is(err, errFragment) {
			return Hash{}, false
		}
		addresses, plain, tcp = f[at+12:at+20], hashIPv4, hashIPv4TCP
	case etherIPv6:
		if tr.throughIPv6(f) != nil {
			return Hash{}, false
		}
		addresses, plain, tcp = f[at+8:at+40], hashIPv6, hashIPv6TCP
	default:
		return Hash{}, false
	}
	var in [maxHashInput]byte
	n := copy(in[:], addresses)
	switch {
	case types&(1<<tcp) != 0 && tr.proto == protoTCP && len(f) >= tr.start+4:
		n += copy(in[n:], f[tr.start:tr.start+4])
		return Hash{t.Sum(in[:n]), tcp}, true
	case types&(1<<plain) != 0:
		return Hash{t.Sum(in[:n]), plain}, true
	}
	return Hash{}, false
}
