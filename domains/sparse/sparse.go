// Package sparse writes files that have holes where they would hold long runs of
// zeroes: saved guests and unpacked kernels, of which half is nothing else.
//
//	w := sparse.New(f)
//	_, err := w.Write(b)
//	err = errors.Join(err, w.Close(), f.Close())
package sparse

import (
	"bytes"
	"io"
)

// File is what a Writer writes into: an *os.File that is empty, say.
type File interface {
	io.WriterAt
	Truncate(size int64) error
}

const (
	// block is what file systems allocate at least. A hole begins and ends with one.
	block = 4096
	// holeLeast is how long a hole is at least: each costs a write of its own, and
	// cuts the file into pieces on the disk.
	holeLeast = 8 * block
)

// Writer writes into a file and leaves out long runs of zeroes, which are read as such
// all the same. It is for one goroutine.
type Writer struct {
	f       File
	off     int64
	skipped int64
}

// New returns a Writer into f, which has to be empty, and which it does not close.
func New(f File) *Writer { return &Writer{f: f} }

// Skipped is how many bytes were left out so far.
func (s *Writer) Skipped() int64 { return s.skipped }

// Write takes b and keeps nothing of it.
func (s *Writer) Write(b []byte) (n int, err error) {
	for n < len(b) {
		data, hole := nextHole(b[n:], s.off)
		if data > 0 {
			m, err := s.f.WriteAt(b[n:n+data], s.off)
			n, s.off = n+m, s.off+int64(m)
			if err != nil {
				return n, err
			}
		}
		n, s.off, s.skipped = n+hole, s.off+int64(hole), s.skipped+int64(hole)
	}
	return n, nil
}

// Close gives the file its length.
func (s *Writer) Close() error { return s.f.Truncate(s.off) }

var zeroes [holeLeast]byte

// nextHole returns how many bytes of b, which will stand at off, come before the first
// hole, and how long that is; 0 when there is none.
func nextHole(b []byte, off int64) (data, hole int) {
	first := int(-off & (block - 1)) // to the next block
	for at := first; at+holeLeast <= len(b); at += block {
		if b[at] != 0 || !bytes.Equal(b[at:at+holeLeast], zeroes[:]) {
			continue
		}
		end := at + holeLeast
		for end+block <= len(b) && bytes.Equal(b[end:end+block], zeroes[:block]) {
			end += block
		}
		return at, end - at
	}
	return len(b), 0
}
