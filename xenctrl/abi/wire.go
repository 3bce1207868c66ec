package abi

import "encoding/binary"

// Xen's interface on amd64 is little-endian and naturally aligned; every byte
// that no field covers is padding and must be zero.

var le = binary.LittleEndian

func append8(b []byte, v ...uint8) []byte { return append(b, v...) }

func append16(b []byte, v ...uint16) []byte {
	for _, x := range v {
		b = le.AppendUint16(b, x)
	}
	return b
}

func append32(b []byte, v ...uint32) []byte {
	for _, x := range v {
		b = le.AppendUint32(b, x)
	}
	return b
}

func append64(b []byte, v ...uint64) []byte {
	for _, x := range v {
		b = le.AppendUint64(b, x)
	}
	return b
}

// pad appends n bytes of padding.
func pad(b []byte, n int) []byte {
	for range n {
		b = append(b, 0)
	}
	return b
}

func get16(b []byte, off int) uint16 { return le.Uint16(b[off:]) }
func get32(b []byte, off int) uint32 { return le.Uint32(b[off:]) }
func get64(b []byte, off int) uint64 { return le.Uint64(b[off:]) }

func bool8(v bool) uint8 {
	if v {
		return 1
	}
	return 0
}

func bool32(v bool) uint32 { return uint32(bool8(v)) }

// cstring is the text before the first NUL of b.
func cstring(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
