package hostile

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// The disks hold a pattern in which each word tells where it stands, so that what a
// page got can be told from anything else of the host's memory.
const (
	sectorSize  = 512
	sectorWords = sectorSize / 8
	patternMul  = 0x9E3779B97F4A7C15 // odd: it has an inverse
	patternXor  = 0x676F786C2D646B21
)

func patternWord(n uint64) uint64 { return n*patternMul ^ patternXor }

// Pattern returns the content of a disk of so many sectors.
func Pattern(sectors int) []byte {
	b := make([]byte, 0, sectors*sectorSize)
	for n := range uint64(sectors * sectorWords) {
		b = binary.LittleEndian.AppendUint64(b, patternWord(n))
	}
	return b
}

// patternOf returns what sectors from, from+1, … of a disk hold.
func patternOf(from uint64, sectors int) []byte {
	b := make([]byte, 0, sectors*sectorSize)
	for n := range uint64(sectors * sectorWords) {
		b = binary.LittleEndian.AppendUint64(b, patternWord(from*sectorWords+n))
	}
	return b
}

// innocent makes sure that each sector of b is a canary, or zero, or one of the disk.
func innocent(b []byte, sectors uint64) error {
	inverse := uint64(1)
	for range 6 { // Newton's method: twice as many bits each time
		inverse *= 2 - patternMul*inverse
	}
	for at := 0; at < len(b); at += sectorSize {
		s := b[at : at+sectorSize]
		if bytes.Equal(s, canaries[:]) || bytes.Equal(s, zeroes[:]) {
			continue
		}
		n := (binary.LittleEndian.Uint64(s) ^ patternXor) * inverse
		if n%sectorWords != 0 || n/sectorWords >= sectors || !bytes.Equal(s, patternOf(n/sectorWords, 1)) {
			return fmt.Errorf("bytes %d to %d of our pages are not the disk's, zero or untouched: %x", at, at+sectorSize, s[:32])
		}
	}
	return nil
}

// untouched makes sure that b was not written to.
func untouched(b []byte) error {
	for i, c := range b {
		if c != canary {
			return fmt.Errorf("byte %d of a page that should be untouched is %#x", i, c)
		}
	}
	return nil
}

var zeroes, canaries = [sectorSize]byte{}, [sectorSize]byte(bytes.Repeat([]byte{canary}, sectorSize))
