package abi

import "math/bits"

// Bitmap is a set of CPUs or NUMA nodes as Xen keeps it: bit n of the set is
// bit n%8 of byte n/8. Its length limits what it can hold; a missing byte reads
// as zero.
type Bitmap []byte

// NewBitmap returns an empty set that can hold the numbers below n.
func NewBitmap(n int) Bitmap { return make(Bitmap, (n+7)/8) }

// BitmapOf returns the set of the given numbers.
func BitmapOf(nums ...int) Bitmap {
	var m Bitmap
	for _, n := range nums {
		m = m.With(n)
	}
	return m
}

// FullBitmap returns the set of all numbers below n.
func FullBitmap(n int) Bitmap {
	m := NewBitmap(n)
	for i := range n {
		m[i/8] |= 1 << (i % 8)
	}
	return m
}

// Test reports whether n is in the set.
func (m Bitmap) Test(n int) bool { return n >= 0 && n/8 < len(m) && m[n/8]&(1<<(n%8)) != 0 }

// Set puts n, which must be within the bitmap's length, into the set.
func (m Bitmap) Set(n int) { m[n/8] |= 1 << (n % 8) }

// Clear takes n out of the set.
func (m Bitmap) Clear(n int) {
	if n >= 0 && n/8 < len(m) {
		m[n/8] &^= 1 << (n % 8)
	}
}

// With returns m with n in it, grown when n does not fit.
func (m Bitmap) With(n int) Bitmap {
	for n/8 >= len(m) {
		m = append(m, 0)
	}
	m.Set(n)
	return m
}

// Count returns how many numbers are in the set.
func (m Bitmap) Count() int {
	n := 0
	for _, b := range m {
		n += bits.OnesCount8(b)
	}
	return n
}

// Empty reports whether nothing is in the set.
func (m Bitmap) Empty() bool { return m.Count() == 0 }

// Len returns how many numbers the bitmap has room for.
func (m Bitmap) Len() int { return 8 * len(m) }

// Equal reports whether both hold the same numbers, whatever their lengths.
func (m Bitmap) Equal(o Bitmap) bool {
	for i := range max(len(m), len(o)) {
		var a, b byte
		if i < len(m) {
			a = m[i]
		}
		if i < len(o) {
			b = o[i]
		}
		if a != b {
			return false
		}
	}
	return true
}

// Slice returns the numbers in the set, ascending.
func (m Bitmap) Slice() []int {
	var out []int
	for n := range m.Len() {
		if m.Test(n) {
			out = append(out, n)
		}
	}
	return out
}

// BitmapSize is sizeof(struct xenctl_bitmap).
const BitmapSize = 16

// AppendBitmap appends a struct xenctl_bitmap: where the bits lie and how many.
func AppendBitmap(b []byte, addr uint64, nbits uint32) []byte {
	b = append64(b, addr)
	b = append32(b, nbits)
	return pad(b, 4)
}
