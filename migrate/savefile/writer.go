package savefile

import (
	"errors"
	"io"

	"goxl/migrate/stream"
	"goxl/migrate/transport"
)

// Writer makes a compressed file of the plain stream that is written to it. It is for
// one goroutine.
type Writer struct {
	dst    io.Writer
	head   []byte // the fixed part of xl's header, until it is there
	rest   int64  // bytes of the configuration that are to come
	begun  int64  // bytes written before what is packed
	packed *transport.Writer
}

// NewWriter returns a Writer into dst, which it does not close.
func NewWriter(dst io.Writer) *Writer {
	return &Writer{dst: dst, head: make([]byte, 0, stream.XLHeaderSize), packed: transport.NewWriter(dst)}
}

var errNoHeader = errors.New("compress a saved guest: it does not begin with the header of xl")

// Write takes b and keeps nothing of it.
func (w *Writer) Write(b []byte) (n int, err error) {
	if len(w.head) < cap(w.head) {
		n = min(len(b), cap(w.head)-len(w.head))
		w.head = append(w.head, b[:n]...)
		if len(w.head) < cap(w.head) {
			return n, nil
		}
		if err := w.header(); err != nil {
			return n, err
		}
		if n == len(b) {
			return n, nil
		}
	}
	if part := b[n:min(int64(len(b)), int64(n)+w.rest)]; len(part) > 0 {
		m, err := w.plain(part)
		n, w.rest = n+m, w.rest-int64(m)
		if err != nil || n == len(b) {
			return n, err
		}
	}
	m, err := w.packed.Write(b[n:])
	return n + m, err
}

// header writes the fixed part of the header, with our flag.
func (w *Writer) header() error {
	if !isHeader(w.head) || flags(w.head)&FlagPacked != 0 {
		return errNoHeader
	}
	w.rest = int64(optional(w.head))
	head := append([]byte(nil), w.head...)
	setFlags(head, flags(head)|FlagPacked)
	_, err := w.plain(head)
	return err
}

func (w *Writer) plain(b []byte) (int, error) {
	n, err := w.dst.Write(b)
	w.begun += int64(n)
	return n, err
}

// Written is how many bytes went into dst so far.
func (w *Writer) Written() int64 { return w.begun + w.packed.Written() }

// Close writes what waits, and the end. Nothing can be written afterwards.
func (w *Writer) Close() error {
	if len(w.head) < cap(w.head) || w.rest > 0 {
		return errNoHeader
	}
	return w.packed.Close()
}
