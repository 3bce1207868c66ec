package disks

import (
	"crypto/sha256"
	"encoding/binary"

	"goxl/blkback/mirror"
)

// Name is what an offer calls a receiver that takes disks.
const Name = "goxldsk1"

// sum is that of a block; the zero value stands for one that holds zeroes only.
type sum [sha256.Size]byte

// sums are those of all blocks of a disk. At first it is empty.
type sums struct {
	size, block int64
	of          []sum
}

func newSums(size int64) (*sums, error) {
	block, err := mirror.BlockSize(size)
	if err != nil {
		return nil, err
	}
	return &sums{size, block, make([]sum, (size+block-1)/block)}, nil
}

// length is how many bytes block i has.
func (s *sums) length(i int) int { return int(min(s.block, s.size-int64(i)*s.block)) }

// sumOf is the sum of a block that holds b.
func sumOf(b []byte) sum {
	if isZero(b) {
		return sum{}
	}
	return sha256.Sum256(b)
}

// disk is the checksum of all of it.
func (s *sums) disk() (out [sha256.Size]byte) {
	h := sha256.New()
	h.Write(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(s.size)), uint64(s.block)))
	for i := range s.of {
		h.Write(s.of[i][:])
	}
	h.Sum(out[:0])
	return out
}

func isZero(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b) != 0 {
			return false
		}
		b = b[8:]
	}
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}
