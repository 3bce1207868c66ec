package stream

import (
	"encoding/binary"
	"errors"
	"io"
)

// Options say what a stream is.
type Options struct {
	// Outermost is the layer the stream begins with: LayerXL for a save file.
	Outermost Layer
	// Checkpoints says what a CHECKPOINT means; the default refuses it.
	Checkpoints Checkpoints
	// BackChannel is the way back from COLO's secondary host, which has no
	// headers and no end, and only CHECKPOINT_STATE and CHECKPOINT_DIRTY_PFN_LIST.
	BackChannel bool
	// Strict refuses padding and reserved fields that are not zero, as
	// verify-stream-v2 does. Restoring has to ignore these.
	Strict bool
}

// Record is a header or a record and where it stands.
type Record struct {
	Index  int    // from 0 over the records of all layers; -1 for a header
	Offset int64  // of its first byte in the stream
	Length uint32 // of its body without padding; of a header, all of it
	Body   Body
}

// Size is how many bytes of the stream the record takes, without what is nested
// in it.
func (r Record) Size() int64 {
	if r.Index < 0 {
		return int64(r.Length)
	}
	return 8 + int64(r.Length) + int64(padding(r.Length))
}

// Reader takes a stream apart. It reads exactly up to the end of the outermost
// layer, so that what a migration says after it stays unread, and reads each
// record with two calls of its io.Reader; put no buffer before it that reads
// ahead if something follows. It is for one goroutine.
type Reader struct {
	src    io.Reader
	strict bool
	rules  rules

	off    int64 // of the next byte
	count  int   // records so far
	here   Error // the place of the current header or record
	left   int64 // bytes of a body that is read as it comes, with its padding
	pad    int   // how many of these are padding
	serial uint64
	err    error // what ended the stream

	head  [libxcHeaderSize + 8]byte
	buf   []byte
	pages PageData
}

// NewReader returns a Reader of the stream that src gives.
func NewReader(src io.Reader, o Options) *Reader {
	return &Reader{src: src, strict: o.Strict, rules: newRules(o)}
}

// Next returns the next header or record: first the headers of the outermost
// layer, and those of libxc after LIBXC_CONTEXT. What its Body refers to is good
// until the next call. At the end of the stream the error is io.EOF, otherwise an
// *Error, and every further call returns it again.
func (r *Reader) Next() (Record, error) {
	if r.err != nil {
		return Record{}, r.err
	}
	rec, err := r.next()
	if err != nil {
		return Record{}, r.fail(err)
	}
	return rec, nil
}

// Offset is how many bytes of the stream were read.
func (r *Reader) Offset() int64 { return r.off }

func (r *Reader) next() (Record, error) {
	if err := r.finish(); err != nil {
		return Record{}, err
	}
	r.serial++
	if r.rules.state == atEnd {
		return Record{}, io.EOF
	}
	r.here = Error{Index: -1, Type: r.rules.header(), Offset: r.off}
	if r.here.Type != 0 {
		return r.header()
	}
	r.here.Index = r.count
	head := r.head[:8]
	if err := r.full(head, 0, 8); err != nil {
		return Record{}, err
	}
	t, length := r.rules.typeOf(binary.LittleEndian.Uint32(head)), binary.LittleEndian.Uint32(head[4:])
	r.here.Type = t
	if err := r.rules.admit(t); err != nil {
		return Record{}, err
	}
	if err := shapeOf(t).check(length); err != nil {
		return Record{}, r.pageCount(t, err)
	}
	body, err := r.body(t, length)
	if err != nil {
		return Record{}, err
	}
	if err := r.rules.check(body); err != nil {
		return Record{}, err
	}
	r.rules.took(body)
	r.count++
	return Record{r.here.Index, r.here.Offset, length, body}, nil
}

// pageCount replaces err, about the length of a record, by the number of pages
// where that says it better.
func (r *Reader) pageCount(t Type, err error) error {
	if t == TypePageData && r.full(r.head[:8], 0, 8) == nil {
		if n := binary.LittleEndian.Uint32(r.head[:]); n > MaxPages {
			return tooManyPages(n)
		}
	}
	return err
}

// header reads the header that has to come here.
func (r *Reader) header() (Record, error) {
	var body Body
	var err error
	switch r.here.Type {
	case TypeXLHeader:
		body, err = r.xlHeader()
	case TypeLibxlHeader:
		h, b := new(LibxlHeader), r.head[:libxlHeaderSize]
		if err = r.full(b, 0, len(b)); err == nil {
			err = h.decode(b, r.strict)
		}
		body = h
	default:
		h, b := new(LibxcHeader), r.head[:libxcHeaderSize]
		if err = r.full(b, 0, len(b)); err == nil {
			err = h.decode(b, r.strict)
		}
		body = h
	}
	if err != nil {
		return Record{}, err
	}
	r.rules.took(body)
	return Record{-1, r.here.Offset, uint32(r.off - r.here.Offset), body}, nil
}

func (r *Reader) xlHeader() (*XLHeader, error) {
	h, b := new(XLHeader), r.head[:xlHeaderSize]
	if err := r.full(b, 0, len(b)); err != nil {
		return nil, err
	}
	rest, json, err := h.decode(b)
	if err != nil {
		return nil, err
	}
	if b, err = r.fill(int(rest)); err != nil {
		return nil, err
	}
	return h, h.decodeOptional(b, json)
}

// finish passes over what the caller did not read of the last body.
func (r *Reader) finish() error {
	if r.left == 0 {
		return nil
	}
	if most := int(min(r.left, 64<<10)); len(r.buf) < most {
		r.buf = make([]byte, most)
	}
	done := int(r.off - r.here.Offset - 8)
	for rest := r.left - int64(r.pad); rest > 0; rest = r.left - int64(r.pad) {
		b := r.buf[:min(rest, int64(len(r.buf)))]
		if err := r.full(b, done, done+int(rest)); err != nil {
			return err
		}
		done += len(b)
		r.left -= int64(len(b))
	}
	b := r.head[:r.pad]
	r.left = 0
	if err := r.full(b, done, done+len(b)); err != nil {
		return err
	}
	return r.zero(b)
}

// zero refuses padding b that is not zero.
func (r *Reader) zero(b []byte) error {
	if !r.strict {
		return nil
	}
	for _, c := range b {
		if c != 0 {
			return bad("the padding is % x and not zero", b)
		}
	}
	return nil
}

// full reads len(b) bytes. In an error about a stream that ends, these are the
// bytes from done on of a part of all bytes.
func (r *Reader) full(b []byte, done, all int) error {
	n, err := io.ReadFull(r.src, b)
	r.off += int64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return shortError{int64(done + n), int64(all)}
	}
	return err
}

// fill reads n bytes into the buffer, which grows only as they come: once 64 KiB are
// there, to what any record of pages needs, and beyond that to twice of what came.
func (r *Reader) fill(n int) ([]byte, error) {
	for done := 0; done < n; {
		end := min(n, max(cap(r.buf), 2*done, 64<<10))
		if end > cap(r.buf) {
			room := end
			if done > 0 && n <= largestPageData {
				end, room = n, largestPageData
			}
			grown := make([]byte, room)
			copy(grown, r.buf[:done])
			r.buf = grown
		}
		if err := r.full(r.buf[:end][done:], done, n); err != nil {
			return nil, err
		}
		done = end
	}
	return r.buf[:n:n], nil
}

// fail remembers err as the stream's end and says where it happened.
func (r *Reader) fail(err error) error {
	if err != io.EOF && r.err == nil {
		here := r.here
		here.Err = err
		err = &here
	}
	r.err = err
	return err
}
