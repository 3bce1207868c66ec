package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Reader gives back what a Writer was given. It reads exactly up to the end of the
// packed stream, trusts nothing in it, and is for one goroutine. An error about
// what it reads is ErrDamaged, and is returned ever after.
type Reader struct {
	src   io.Reader
	zstd  *zstd.Decoder
	err   error
	in    int64  // bytes read of the packed stream
	here  int64  // where the block begins
	total uint64 // bytes given out

	head   [headerSize]byte
	packed []byte // room for a block as it travels
	buf    []byte // room for one that was unpacked
	block  []byte // pieces that are left
	kind   uint32 // of the piece that is not done
	left   int    // of it: bytes or pages
	page   []byte // what is left of the page that is given out

	window window
}

// Detect looks whether src gives a packed stream. If so, plain and packed are its
// Reader; if not, packed is nil and plain gives what src does, from the first byte.
// It reads no more than it must.
func Detect(src io.Reader) (plain io.Reader, packed *Reader, err error) {
	magic := make([]byte, len(Magic))
	n, err := io.ReadFull(src, magic)
	switch {
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, nil, err
	case string(magic[:n]) != Magic:
		return io.MultiReader(bytes.NewReader(magic[:n]), src), nil, nil
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlock),
		zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderLowmem(true))
	if err != nil { // only for options that make no sense
		panic(err)
	}
	packed = &Reader{src: src, zstd: dec, in: int64(n)}
	return packed, packed, nil
}

// Read implements io.Reader. Its end is io.EOF only after the end that a Writer
// wrote.
func (r *Reader) Read(b []byte) (n int, err error) {
	for n < len(b) && r.err == nil {
		if len(r.page) == 0 && (r.kind != pieceBytes || r.left == 0) {
			if n > 0 && r.left == 0 && len(r.block) == 0 {
				break // what follows may be long in coming
			}
			r.err = r.more()
			continue
		}
		n += r.give(b[n:])
	}
	r.total += uint64(n)
	if n > 0 {
		return n, nil
	}
	return 0, r.err
}

// give copies what there is.
func (r *Reader) give(b []byte) (n int) {
	if len(r.page) > 0 {
		n = copy(b, r.page)
		r.page = r.page[n:]
		return n
	}
	n = copy(b, r.block[:r.left])
	r.block, r.left = r.block[n:], r.left-n
	return n
}

// Finish reads the end of the stream. It fails when something comes before that,
// which nobody has read.
func (r *Reader) Finish() error {
	for r.err == nil && len(r.page) == 0 && r.left == 0 {
		r.err = r.more()
	}
	switch {
	case r.err == nil:
		r.err = damaged(r.here, "more follows than belongs there")
	case r.err == io.EOF:
		return nil
	}
	return r.err
}

// more finds the next bytes to give out.
func (r *Reader) more() error {
	switch {
	case r.left > 0:
		r.left--
		r.page = zeroPage[:]
		if r.kind == piecePages {
			r.page, _ = r.window.add(r.block[:PageSize])
			r.block = r.block[PageSize:]
		}
		return nil
	case len(r.block) > 0:
		return r.piece()
	}
	return r.next()
}

// piece begins the next piece.
func (r *Reader) piece() error {
	if len(r.block) < 4 {
		return damaged(r.here, "%d bytes are no piece", len(r.block))
	}
	word := binary.LittleEndian.Uint32(r.block)
	r.block = r.block[4:]
	n := int(word & maxNumber)
	r.kind = word >> numberBits
	need := n
	switch r.kind {
	case pieceBytes:
	case piecePages:
		need *= PageSize
	case pieceZeroes:
		need = 0
	case pieceAgain:
		if !r.window.has(n) {
			return damaged(r.here, "page %d was not sent before", n)
		}
		r.page = r.window.slot(n)
		return nil
	default:
		return damaged(r.here, "a piece of kind %d", r.kind)
	}
	if need > len(r.block) {
		return damaged(r.here, "a piece of %d bytes, and %d follow", need, len(r.block))
	}
	r.left = n
	return nil
}

// next reads the next block, or the end.
func (r *Reader) next() error {
	r.here = r.in
	if err := r.full(r.head[:]); err != nil {
		return err
	}
	word := binary.LittleEndian.Uint32(r.head[:])
	kind, length := word&0xff, int(word>>8)
	if length == 0 || length > maxBlock {
		return damaged(r.here, "%d bytes long", length)
	}
	if len(r.packed) < length {
		r.packed = make([]byte, length)
	}
	content := r.packed[:length]
	if err := r.full(content); err != nil {
		return err
	}
	if got, want := checksum(r.head[:4], content), binary.LittleEndian.Uint32(r.head[4:]); got != want {
		return damaged(r.here, "its checksum is %#08x, not %#08x", got, want)
	}
	switch kind {
	case blockRaw:
		r.block = content
		return nil
	case blockZstd:
		if r.buf == nil {
			r.buf = make([]byte, 0, maxBlock)
		}
		block, err := r.zstd.DecodeAll(content, r.buf)
		if err != nil {
			return damaged(r.here, "%w", err)
		}
		r.block = block
		return nil
	case blockEnd:
		return r.end(content)
	}
	return damaged(r.here, "packed in a way %d that is unknown", kind)
}

// end compares what was given out with what the last block says.
func (r *Reader) end(content []byte) error {
	if len(content) != 8 {
		return damaged(r.here, "an end of %d bytes", len(content))
	}
	if want := binary.LittleEndian.Uint64(content); want != r.total {
		return damaged(r.here, "%d bytes came, and %d were sent", r.total, want)
	}
	return io.EOF
}

// full fills b from the source.
func (r *Reader) full(b []byte) error {
	n, err := io.ReadFull(r.src, b)
	r.in += int64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged(r.here, "cut off after %#x bytes: %w", r.in, io.ErrUnexpectedEOF)
	}
	return err
}
