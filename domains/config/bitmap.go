package config

import (
	"iter"
	"math/bits"
)

// Bitmap is a set of small numbers (CPUs, NUMA nodes, …): number i is bit i%8 of
// byte i/8, which is also how Xen reads a bitmap. A nil Bitmap is empty.
type Bitmap []byte

// NewBitmap returns an empty set with room for the numbers below n, rounded up
// to whole bytes.
func NewBitmap(n int) Bitmap { return make(Bitmap, (n+7)/8) }

// BitmapOf returns the set of the given numbers. Negative numbers are left out.
func BitmapOf(members ...int) Bitmap {
	var b Bitmap
	for _, m := range members {
		b.Add(m)
	}
	return b
}

// Cap returns how many numbers there is room for; all members are below it.
func (b Bitmap) Cap() int { return len(b) * 8 }

// Has reports whether i is a member.
func (b Bitmap) Has(i int) bool { return i >= 0 && i < b.Cap() && b[i/8]>>(i%8)&1 == 1 }

// Add makes i a member, growing b when needed. A negative i is ignored.
func (b *Bitmap) Add(i int) {
	if i < 0 {
		return
	}
	if i >= b.Cap() {
		*b = append(*b, make([]byte, i/8+1-len(*b))...)
	}
	(*b)[i/8] |= 1 << (i % 8)
}

// Remove takes i out of the set.
func (b Bitmap) Remove(i int) {
	if b.Has(i) {
		b[i/8] &^= 1 << (i % 8)
	}
}

// Fill makes every number below Cap a member.
func (b Bitmap) Fill() {
	for i := range b {
		b[i] = 0xff
	}
}

// Count returns the number of members.
func (b Bitmap) Count() int {
	n := 0
	for _, x := range b {
		n += bits.OnesCount8(x)
	}
	return n
}

// IsEmpty reports whether b has no members.
func (b Bitmap) IsEmpty() bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// All yields the members in ascending order.
func (b Bitmap) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range b.Cap() {
			if b.Has(i) && !yield(i) {
				return
			}
		}
	}
}

// And removes from b what is not in other.
func (b Bitmap) And(other Bitmap) {
	for i := range b {
		if i < len(other) {
			b[i] &= other[i]
		} else {
			b[i] = 0
		}
	}
}
