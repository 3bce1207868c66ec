package transport

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
)

// Magic begins every packed stream. No stream of xl, libxl or libxc does.
const Magic = "goxlpak1"

// PageSize is the size of what is looked at as a whole.
const PageSize = 4096

const (
	headerSize = 8
	// maxBlock is how long a block's content may be, packed or not.
	maxBlock = 1 << 20
	// windowPages is how many pages both sides keep.
	windowPages = 4096
)

// How a block is packed.
const (
	blockEnd  = 0 // the last one: the length of everything, eight bytes
	blockRaw  = 1
	blockZstd = 2
)

// The kinds of pieces, and how many bits their number has.
const (
	pieceBytes  = 0
	piecePages  = 1
	pieceZeroes = 2
	pieceAgain  = 3

	numberBits = 28
	maxNumber  = 1<<numberBits - 1
)

// ErrDamaged is matched by every error about what a stream holds: it was cut, or
// changed on its way, or never written by a Writer.
var ErrDamaged = errors.New("damaged")

// damaged is an error of the block that begins at an offset of the packed stream.
func damaged(offset int64, format string, args ...any) error {
	return fmt.Errorf("packed stream, block at offset %#x: %w: %w", offset, ErrDamaged, fmt.Errorf(format, args...))
}

// castagnoli is the polynomial that processors have an instruction for.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var zeroPage [PageSize]byte

// checksum is of a block: the first word of its header and its content.
func checksum(word, content []byte) uint32 {
	return crc32.Update(crc32.Checksum(word, castagnoli), castagnoli, content)
}

func isZero(page []byte) bool { return bytes.Equal(page, zeroPage[:]) }

// window is the pages that both sides keep.
type window struct {
	pages []byte
	n     int // how many were added, of which the last windowPages are there
}

// add keeps a copy of a page and returns it and its slot. The copy is good until
// windowPages more were added.
func (w *window) add(page []byte) (kept []byte, slot int) {
	slot = w.n % windowPages
	if end := (slot + 1) * PageSize; end > len(w.pages) { // it grows with what comes
		grown := make([]byte, min(windowPages*PageSize, max(2*len(w.pages), 16*PageSize)))
		copy(grown, w.pages)
		w.pages = grown
	}
	kept = w.slot(slot)
	copy(kept, page)
	w.n++
	return kept, slot
}

// slot is the place of a page.
func (w *window) slot(i int) []byte { return w.pages[i*PageSize : (i+1)*PageSize] }

// has reports whether there is a page in a slot.
func (w *window) has(i int) bool { return i < min(w.n, windowPages) }
