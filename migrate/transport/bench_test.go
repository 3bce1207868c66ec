package transport

import (
	"bytes"
	"io"
	"testing"
)

const benchPages = 4096 // 16 MiB

var kinds = []string{"zero", "same", "mixed", "random"}

// endless gives the same blocks again and again.
type endless struct{ head, again, rest []byte }

func (e *endless) Read(b []byte) (int, error) {
	if len(e.head) > 0 {
		n := copy(b, e.head)
		e.head = e.head[n:]
		return n, nil
	}
	if len(e.rest) == 0 {
		e.rest = e.again
	}
	n := copy(b, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// endlessPages is a Reader of pages without end.
func endlessPages(t testing.TB, kind string) *Reader {
	var out bytes.Buffer
	w := NewWriter(&out)
	if _, err := w.Write(pages(kind, benchPages)); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	b := out.Bytes()
	_, r, err := Detect(&endless{head: b[:len(Magic)], again: b[len(Magic):]})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestNoAllocations holds packing and unpacking to no garbage for any page.
func TestNoAllocations(t *testing.T) {
	for _, kind := range kinds {
		b, dst := pages(kind, benchPages), make([]byte, benchPages*PageSize)
		w, r := NewWriter(io.Discard), endlessPages(t, kind)
		for name, f := range map[string]func() error{
			"Write": func() error { _, err := w.Write(b); return err },
			"Read":  func() error { _, err := io.ReadFull(r, dst); return err },
		} {
			for range 3 { // so that buffers have grown
				if err := f(); err != nil {
					t.Fatal(name, err)
				}
			}
			if n := testing.AllocsPerRun(10, func() {
				if err := f(); err != nil {
					t.Fatal(name, err)
				}
			}); n > 0 {
				t.Errorf("%s of %d pages, %s: %v allocations", name, benchPages, kind, n)
			}
		}
	}
}

func BenchmarkMemcpy(b *testing.B) {
	src := pages("random", benchPages)
	dst := make([]byte, len(src))
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		copy(dst, src)
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, kind := range kinds {
		b.Run(kind, func(b *testing.B) {
			src := pages(kind, benchPages)
			w := NewWriter(io.Discard)
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			total := int64(0)
			for b.Loop() {
				w.window.n = 0 // else the second time is all duplicates
				clear(w.seen)
				if _, err := w.Write(src); err != nil {
					b.Fatal(err)
				}
				total += int64(len(src))
			}
			b.ReportMetric(100*float64(w.Written())/float64(total), "%size")
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for _, kind := range kinds {
		b.Run(kind, func(b *testing.B) {
			dst := make([]byte, benchPages*PageSize)
			r := endlessPages(b, kind)
			b.SetBytes(int64(len(dst)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := io.ReadFull(r, dst); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
