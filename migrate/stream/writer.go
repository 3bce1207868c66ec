package stream

import (
	"encoding/binary"
	"io"
	"net"

	"goxl/xenctrl/abi"
)

// Writer makes a stream, byte for byte as the genuine tools do. It holds what it
// is given to the rules that a Reader holds a stream to, so that it cannot make
// one that a Reader refuses. Records go out at once, each with one writev where
// the io.Writer is a connection, and page contents are never copied. It is for
// one goroutine.
type Writer struct {
	dst   io.Writer
	rules rules
	off   int64 // how many bytes were written
	start int64 // where the current header or record begins
	count int   // records so far
	err   error // what ended the stream: part of a record may have been written

	buf   []byte
	parts net.Buffers // what parts of a record are kept in
	out   net.Buffers // what is left to be written of them
	pages PageData
}

// NewWriter returns a Writer of a stream into dst. Options.Strict means nothing.
func NewWriter(dst io.Writer, o Options) *Writer {
	return &Writer{dst: dst, rules: newRules(o)}
}

// Offset is how many bytes were written.
func (w *Writer) Offset() int64 { return w.off }

// Write writes a header or a record. It keeps nothing of b. An error is an
// *Error. When b is wrong, or may not stand here, it is of class ErrStream and
// nothing was written; every other error ends the stream and is returned ever after.
func (w *Writer) Write(b Body) error {
	if p, ok := b.(*PageData); ok {
		return w.WritePages(p.PFNs, p.Types, p.Data)
	}
	if w.err != nil {
		return w.err
	}
	w.start = w.off
	t := b.Type()
	if err := w.admit(t, b); err != nil {
		return w.refuse(t, err)
	}
	if t.IsHeader() {
		return w.header(b)
	}
	w.buf = append32(w.buf[:0], t.Number(), 0)
	tail, size, err := w.encode(b)
	if err != nil {
		return w.refuse(t, err)
	}
	src, streamed := streamOf(b)
	length := int64(len(w.buf)-8+size) + streamed
	if err := w.setLength(t, length); err != nil {
		return w.refuse(t, err)
	}
	if streamed == 0 {
		return w.finish(b, w.record(length, tail))
	}
	return w.finish(b, w.stream(src, length))
}

// WritePages writes a PAGE_DATA record. The contents of those pages that have any
// are in data, which may be cut into parts anywhere: pages in one piece or each in
// a place of its own.
func (w *Writer) WritePages(pfns []abi.PFN, types []PageType, data ...[]byte) error {
	if w.err != nil {
		return w.err
	}
	w.start = w.off
	w.pages = PageData{PFNs: pfns, Types: types}
	size := 0
	for _, part := range data {
		size += len(part)
	}
	err := w.admit(TypePageData, &w.pages)
	if err == nil {
		err = w.pages.check(size)
	}
	if err != nil {
		return w.refuse(TypePageData, err)
	}
	w.buf = append32(w.buf[:0], TypePageData.Number(), uint32(8+8*len(pfns)+size))
	w.buf = w.pages.appendNumbers(w.buf)
	w.parts = append(w.parts[:0], w.buf)
	w.parts = append(w.parts, data...)
	err = w.finish(&w.pages, w.flush())
	w.pages = PageData{}
	return err
}

// admit asks the rules.
func (w *Writer) admit(t Type, b Body) error {
	if err := w.rules.admit(t); err != nil {
		return err
	}
	return w.rules.check(b)
}

// refuse is an error about something of which nothing was written.
func (w *Writer) refuse(t Type, err error) error {
	index := w.count
	if t.IsHeader() {
		index = -1
	}
	return &Error{index, t, w.start, err}
}

func (w *Writer) header(b Body) (err error) {
	w.buf = w.buf[:0]
	switch h := b.(type) {
	case *XLHeader:
		w.buf, err = h.append(w.buf)
	case *LibxlHeader:
		w.buf = h.append(w.buf)
	case *LibxcHeader:
		if err = h.check(); err == nil {
			w.buf = h.append(w.buf)
		}
	default:
		err = bad("not a header")
	}
	if err != nil {
		return w.refuse(b.Type(), err)
	}
	w.parts = append(w.parts[:0], w.buf)
	return w.finish(b, w.flush())
}

// finish notes what became of b. After an error part of it may have been written.
func (w *Writer) finish(b Body, err error) error {
	t := b.Type()
	if err == nil {
		w.rules.took(b)
		if !t.IsHeader() {
			w.count++
		}
		return nil
	}
	w.err = w.refuse(t, err)
	return w.err
}

// record writes the record whose header and first bytes are in buf and whose
// other bytes are tail; the body's length is length.
func (w *Writer) record(length int64, tail []byte) error {
	const join = 8 << 10 // what is cheaper to copy than to write on its own
	pad := zeros[:padding(uint32(length))]
	if len(tail) <= join {
		w.buf = append(append(w.buf, tail...), pad...)
		w.parts = append(w.parts[:0], w.buf)
	} else {
		w.parts = append(w.parts[:0], w.buf, tail, pad)
	}
	return w.flush()
}

var zeros [8]byte

// setLength puts the body's length into the record's header, if a body of type t
// may have it.
func (w *Writer) setLength(t Type, length int64) error {
	if length > 1<<32-1 {
		return bad("a body of %d bytes", length)
	}
	binary.LittleEndian.PutUint32(w.buf[4:], uint32(length))
	return shapeOf(t).check(uint32(length))
}

// stream writes a record whose body comes from src, after what is in buf.
func (w *Writer) stream(src io.Reader, length int64) error {
	left := length - int64(len(w.buf)-8)
	w.parts = append(w.parts[:0], w.buf)
	if err := w.flush(); err != nil {
		return err
	}
	b := w.buf[:cap(w.buf)]
	if most := min(left, 64<<10); int64(len(b)) < most {
		b = make([]byte, most)
		w.buf = b
	}
	for left > 0 {
		part := b[:min(left, int64(len(b)))]
		if n, err := io.ReadFull(src, part); err != nil {
			return sourceError{length - left + int64(n), length, err}
		}
		left -= int64(len(part))
		w.parts = append(w.parts[:0], part)
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.parts = append(w.parts[:0], zeros[:padding(uint32(length))])
	return w.flush()
}

// flush writes the parts.
func (w *Writer) flush() error {
	w.out = w.parts
	n, err := w.out.WriteTo(w.dst)
	w.off += n
	clear(w.parts) // they belong to others
	return err
}
