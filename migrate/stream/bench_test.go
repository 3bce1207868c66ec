package stream

import (
	"bytes"
	"io"
	"testing"

	"goxl/xenctrl/abi"
)

// batch is a PAGE_DATA record as large as they come, of an HVM guest.
func batch() *PageData {
	d := &PageData{Data: make([]byte, MaxPages*abi.PageSize)}
	for i := range MaxPages {
		d.PFNs = append(d.PFNs, abi.PFN(i))
		d.Types = append(d.Types, PageNormal)
	}
	for i := range d.Data {
		d.Data[i] = byte(i >> 3)
	}
	return d
}

// begun is the start of a stream, up to where pages may come.
func begun() []Body {
	return []Body{&LibxcHeader{3, GuestHVM, 4, 17}, Mark(TypeStaticDataEnd)}
}

// endless gives head once and record again and again.
type endless struct{ head, record, rest []byte }

func (e *endless) Read(b []byte) (int, error) {
	if len(e.rest) == 0 {
		e.rest = e.record
	}
	if len(e.head) > 0 {
		n := copy(b, e.head)
		e.head = e.head[n:]
		return n, nil
	}
	n := copy(b, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// pageReader is a Reader that only has batches of pages before it.
func pageReader(t testing.TB) *Reader {
	o := Options{Outermost: LayerLibxc}
	head := encode(t, o, begun())
	record := encode(t, o, append(begun(), batch()))[len(head):]
	r := NewReader(&endless{head: head, record: record}, o)
	for range 3 { // headers, STATIC_DATA_END, and a batch that makes the buffers grow
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func pageWriter(t testing.TB, dst io.Writer) *Writer {
	w := NewWriter(dst, Options{Outermost: LayerLibxc})
	for _, b := range begun() {
		if err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// TestNoAllocations holds reading and writing of pages to no garbage at all.
func TestNoAllocations(t *testing.T) {
	r, w, d := pageReader(t), pageWriter(t, io.Discard), batch()
	pages := make([][]byte, 0, MaxPages)
	for _, p := range d.All {
		pages = append(pages, p)
	}
	for name, f := range map[string]func() error{
		"Next":                  func() error { _, err := r.Next(); return err },
		"Write":                 func() error { return w.Write(d) },
		"WritePages, scattered": func() error { return w.WritePages(d.PFNs, d.Types, pages...) },
	} {
		if err := f(); err != nil { // once, so that buffers have grown
			t.Fatal(name, err)
		}
		if n := testing.AllocsPerRun(20, func() {
			if err := f(); err != nil {
				t.Fatal(name, err)
			}
		}); n > 0 {
			t.Errorf("%s makes %v allocations for %d pages", name, n, MaxPages)
		}
	}
}

// TestPagesAreNotCopied checks that what is written are the caller's own bytes.
func TestPagesAreNotCopied(t *testing.T) {
	d := batch()
	seen := false
	w := pageWriter(t, writerFunc(func(b []byte) {
		seen = seen || len(b) > 0 && &b[0] == &d.Data[0] && len(b) == len(d.Data)
	}))
	if err := w.Write(d); err != nil || !seen {
		t.Errorf("written %v, %v", seen, err)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) { f(b); return len(b), nil }

// TestScatteredPages compares one piece with many.
func TestScatteredPages(t *testing.T) {
	d := batch()
	var one, many bytes.Buffer
	if err := pageWriter(t, &one).Write(d); err != nil {
		t.Fatal(err)
	}
	if err := pageWriter(t, &many).WritePages(d.PFNs, d.Types, d.Data[:5], d.Data[5:9000], nil, d.Data[9000:]); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.Bytes(), many.Bytes()) {
		t.Error("they differ")
	}
}

func BenchmarkMemcpy(b *testing.B) {
	src := batch().Data
	dst := make([]byte, len(src))
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		copy(dst, src)
	}
}

func BenchmarkReadPages(b *testing.B) {
	r := pageReader(b)
	b.SetBytes(MaxPages * abi.PageSize)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/MaxPages, "ns/page")
}

// copying takes what is written as a socket does, by copying it.
type copying struct{ dst []byte }

func (c *copying) Write(b []byte) (int, error) { copy(c.dst, b); return len(b), nil }

// BenchmarkWritePages takes the pages as a socket does, by copying them.
func BenchmarkWritePages(b *testing.B) {
	b.SetBytes(MaxPages * abi.PageSize)
	benchmarkWrite(b, &copying{make([]byte, MaxPages*abi.PageSize)})
}

// BenchmarkWritePagesAlone is the Writer's own part of that.
func BenchmarkWritePagesAlone(b *testing.B) { benchmarkWrite(b, io.Discard) }

func benchmarkWrite(b *testing.B, dst io.Writer) {
	w, d := pageWriter(b, dst), batch()
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Write(d); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/MaxPages, "ns/page")
}
