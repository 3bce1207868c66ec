package transport

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"
)

// pendingMost is how many bytes wait to be written at most, those of pages that
// are only named included.
const pendingMost = 16 << 20

// Writer packs what is written to it. A Write of whole pages is taken for pages,
// every other one for bytes; both come out as they were. It is for one goroutine.
type Writer struct {
	dst   io.Writer
	zstd  *zstd.Encoder
	err   error  // of dst, or that it is closed
	total uint64 // bytes taken
	out   int64  // bytes written

	block   []byte // pieces that wait
	last    int    // where in it the last piece begins; -1: there is none
	pending uint64 // bytes for which these stand
	packed  []byte // room for a block as it travels
	skip    int    // blocks that are not worth a try
	pace    *pace  // nil: whatever can be compressed is

	window window
	seed   maphash.Seed
	seen   []int32 // by hash: the slot where a page was put, and one more
}

// hashSlots is how many places there are to find a page again, and ways how many of
// them a page may be in.
const (
	hashSlots = 4 * windowPages
	ways      = 4
)

// NewWriter returns a Writer into dst, which it does not close.
func NewWriter(dst io.Writer) *Writer {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithWindowSize(maxBlock), zstd.WithLowerEncoderMem(true))
	if err != nil { // only for options that make no sense
		panic(err)
	}
	w := &Writer{dst: dst, zstd: enc, last: -1, seed: maphash.MakeSeed(), seen: make([]int32, hashSlots)}
	w.block = make([]byte, 0, maxBlock)
	w.packed = append(make([]byte, 0, len(Magic)+headerSize+maxBlock+maxBlock/64), Magic...)
	return w
}

// Adapt has the Writer compress only while that takes less time than it saves, by what
// both took for the last few blocks: for a way whose speed nobody knows. Without it all
// is compressed that can be, as for a file.
func (w *Writer) Adapt() { w.pace = new(pace) }

// Written is how many bytes went into dst so far.
func (w *Writer) Written() int64 { return w.out }

// Write takes b and keeps nothing of it. It blocks as long as dst does.
func (w *Writer) Write(b []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	put := w.bytes
	if len(b)%PageSize == 0 {
		put = w.pages
	}
	if err := put(b); err != nil {
		return 0, err
	}
	w.total += uint64(len(b))
	return len(b), nil
}

// Flush writes what waits.
func (w *Writer) Flush() error {
	if w.err == nil && len(w.block) > 0 {
		w.err = w.flush()
	}
	return w.err
}

// Close writes what waits, and the end. Nothing can be written afterwards.
func (w *Writer) Close() error {
	if err := w.Flush(); err != nil {
		return err
	}
	w.block = binary.LittleEndian.AppendUint64(w.block, w.total)
	err := w.write(blockEnd, append(w.room(), w.block...))
	w.err = io.ErrClosedPipe
	return err
}

// bytes takes bytes that are no pages.
func (w *Writer) bytes(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), maxBlock-len(w.block)-4)
		if n <= 0 {
			if w.err = w.flush(); w.err != nil {
				return w.err
			}
			continue
		}
		w.piece(pieceBytes, n)
		w.block = append(w.block, b[:n]...)
		w.pending += uint64(n)
		b = b[n:]
	}
	return nil
}

// pages takes whole pages.
func (w *Writer) pages(b []byte) error {
	for ; len(b) > 0; b = b[PageSize:] {
		if maxBlock-len(w.block) < 4+PageSize || w.pending >= pendingMost {
			if w.err = w.flush(); w.err != nil {
				return w.err
			}
		}
		w.page(b[:PageSize:PageSize])
		w.pending += PageSize
	}
	return nil
}

func (w *Writer) page(page []byte) {
	if isZero(page) {
		w.piece(pieceZeroes, 1)
		return
	}
	near := w.seen[maphash.Bytes(w.seed, page)%(hashSlots/ways)*ways:][:ways]
	for _, at := range near {
		if at > 0 && bytes.Equal(w.window.slot(int(at-1)), page) {
			w.last = -1
			w.piece(pieceAgain, int(at-1))
			w.last = -1
			return
		}
	}
	_, slot := w.window.add(page)
	copy(near[1:], near)
	near[0] = int32(slot + 1)
	w.piece(piecePages, 1)
	w.block = append(w.block, page...)
}

// piece begins a piece, or makes the last one larger that is of the same kind.
func (w *Writer) piece(kind uint32, n int) {
	if w.last >= 0 {
		word := binary.LittleEndian.Uint32(w.block[w.last:])
		if word>>numberBits == kind && word&maxNumber+uint32(n) <= maxNumber {
			binary.LittleEndian.PutUint32(w.block[w.last:], word+uint32(n))
			return
		}
	}
	w.last = len(w.block)
	w.block = binary.LittleEndian.AppendUint32(w.block, kind<<numberBits|uint32(n))
}

// room is where a block is put together: behind what begins the stream, the first
// time, and behind its own header.
func (w *Writer) room() []byte {
	begin := 0
	if w.out == 0 {
		begin = len(Magic)
	}
	return w.packed[:begin+headerSize]
}

// skipBlocks is how many blocks go as they are after one that zstd made little of:
// memory that is random is so in many places at once.
const skipBlocks = 8

// flush writes the block.
func (w *Writer) flush() error {
	if w.skip > 0 {
		w.skip--
		return w.write(blockRaw, append(w.room(), w.block...))
	}
	if w.pace != nil && !w.pace.worth() {
		return w.write(blockRaw, append(w.room(), w.block...))
	}
	began := time.Now()
	packed := w.zstd.EncodeAll(w.block, w.room())
	if w.pace != nil {
		w.pace.packed(len(w.block), len(packed)-len(w.room()), time.Since(began))
	}
	if cap(packed) > cap(w.packed) {
		w.packed = packed // it had to grow
	}
	kind, begin := blockZstd, len(w.room())
	if len(packed)-begin > len(w.block)-len(w.block)/8 {
		kind, packed, w.skip = blockRaw, append(packed[:begin], w.block...), skipBlocks
	}
	return w.write(kind, packed)
}

// write writes a block; all holds its content behind room for the header.
func (w *Writer) write(kind int, all []byte) error {
	content := all[len(w.room()):]
	h := all[len(all)-len(content)-headerSize:]
	binary.LittleEndian.PutUint32(h, uint32(kind)|uint32(len(content))<<8)
	binary.LittleEndian.PutUint32(h[4:], checksum(h[:4], content))
	began := time.Now()
	n, err := w.dst.Write(all)
	if w.pace != nil {
		w.pace.sent(n, time.Since(began))
	}
	w.out += int64(n)
	w.block, w.last, w.pending = w.block[:0], -1, 0
	return err
}
