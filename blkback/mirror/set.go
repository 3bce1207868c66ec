package mirror

import (
	"fmt"
	"math/bits"
	"sync/atomic"
)

// Bounds of the unit in which writes are noted, in bytes, and of how many there may be of
// a disk: so a set of them has 256 KiB at most.
const (
	MinBlock  = 64 << 10
	MaxBlock  = 4 << 20
	MaxBlocks = 1 << 21
)

// MaxSize is how long a disk may be, in bytes: 8 TiB.
const MaxSize = MaxBlock * MaxBlocks

// BlockSize is the unit for a disk of size bytes: as small as can be.
func BlockSize(size int64) (int64, error) {
	if size <= 0 || size > MaxSize {
		return 0, fmt.Errorf("a disk of %d bytes: 512 to %d can be copied", size, int64(MaxSize))
	}
	block := int64(MinBlock)
	for (size+block-1)/block > MaxBlocks {
		block *= 2
	}
	return block, nil
}

// Set is a set of blocks, a bit for each.
type Set []uint64

// NewSet is a set of the first n blocks, with room for no more.
func NewSet(n int) Set {
	s := make(Set, (n+63)/64)
	for i := range s {
		s[i] = ^uint64(0)
	}
	if n%64 != 0 {
		s[len(s)-1] = 1<<(n%64) - 1
	}
	return s
}

// Len is how many blocks are in s.
func (s Set) Len() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// Has reports whether block i is in s.
func (s Set) Has(i int) bool { return s[i/64]>>(i%64)&1 != 0 }

// Add puts block i into s.
func (s Set) Add(i int) { s[i/64] |= 1 << (i % 64) }

// Remove takes block i out of s.
func (s Set) Remove(i int) { s[i/64] &^= 1 << (i % 64) }

// Or puts what is in t into s, which has the same room.
func (s Set) Or(t Set) {
	for i, w := range t {
		s[i] |= w
	}
}

// Next is the first run of blocks in s from block i on, of most blocks at most; n is 0
// when there is none.
func (s Set) Next(i, most int) (first, n int) {
	for ; i < 64*len(s); i++ {
		if w := s[i/64] >> (i % 64); w == 0 {
			i |= 63
			continue
		} else {
			i += bits.TrailingZeros64(w)
		}
		n = 1
		for n < most && i+n < 64*len(s) && s.Has(i+n) {
			n++
		}
		return i, n
	}
	return 0, 0
}

// Tracker notes which blocks of a disk are written. All methods may be called by many
// goroutines at a time.
type Tracker struct {
	size, block int64
	dirty       []uint64
}

// NewTracker is a tracker of a disk of size bytes, on which nothing was written yet.
func NewTracker(size int64) (*Tracker, error) {
	block, err := BlockSize(size)
	if err != nil {
		return nil, err
	}
	return &Tracker{size: size, block: block, dirty: make([]uint64, (blocksOf(size, block)+63)/64)}, nil
}

func blocksOf(size, block int64) int { return int((size + block - 1) / block) }

// Mark notes that n bytes from off were written, or may have been. It is to be called
// after that, and before anybody is told.
func (t *Tracker) Mark(off, n int64) {
	if n <= 0 || off < 0 || off >= t.size {
		return
	}
	last := (min(off+n, t.size) - 1) / t.block
	for i := off / t.block; i <= last; i++ {
		atomic.OrUint64(&t.dirty[i/64], 1<<(i%64))
	}
}

// Take adds to s what was marked and forgets the marks.
func (t *Tracker) Take(s Set) {
	for i := range t.dirty {
		s[i] |= atomic.SwapUint64(&t.dirty[i], 0)
	}
}
