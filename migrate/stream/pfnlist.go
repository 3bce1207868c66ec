package stream

import (
	"encoding/binary"
	"io"

	"goxl/xenctrl/abi"
)

// PFNList is a list of page numbers that may be too long to be held: it is read
// in pieces, once.
type PFNList struct {
	left int
	list []abi.PFN
	src  io.Reader // instead of list: the numbers' bytes
}

// PFNs is the list of the numbers in list, which it keeps.
func PFNs(list []abi.PFN) PFNList { return PFNList{left: len(list), list: list} }

// Len is how many numbers are left.
func (l *PFNList) Len() int { return l.left }

// Read fills dst and returns how many numbers it put there, fewer than dst has
// room for only at the end of the list; after that it returns io.EOF. A list that
// a Reader gave is good until the next call of Next, and its errors are the
// Reader's.
func (l *PFNList) Read(dst []abi.PFN) (int, error) {
	if l.left == 0 {
		return 0, io.EOF
	}
	dst = dst[:min(len(dst), l.left)]
	if l.src == nil {
		n := copy(dst, l.list)
		l.list, l.left = l.list[n:], l.left-n
		return n, nil
	}
	var raw [64 * 8]byte
	for done := 0; done < len(dst); {
		part := raw[:8*min(len(raw)/8, len(dst)-done)]
		if _, err := io.ReadFull(l.src, part); err != nil {
			return done, err
		}
		for ; len(part) > 0; part = part[8:] {
			dst[done] = abi.PFN(binary.LittleEndian.Uint64(part))
			done++
			l.left--
		}
	}
	return len(dst), nil
}
