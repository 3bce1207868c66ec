package xenctrl

import "encoding/binary"

// put32s writes v to b, little-endian.
func put32s(b []byte, v []uint32) {
	for i, x := range v {
		binary.LittleEndian.PutUint32(b[4*i:], x)
	}
}

// get32s reads n words from b.
func get32s(b []byte, n int) []uint32 {
	out := make([]uint32, n)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return out
}

// put64s writes v to b, little-endian.
func put64s[T ~uint64](b []byte, v []T) {
	for i, x := range v {
		binary.LittleEndian.PutUint64(b[8*i:], uint64(x))
	}
}

// get64s reads len(v) words from b.
func get64s[T ~uint64](v []T, b []byte) {
	for i := range v {
		v[i] = T(binary.LittleEndian.Uint64(b[8*i:]))
	}
}
