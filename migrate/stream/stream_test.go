package stream

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestRoundTrip writes every sample, reads it in small pieces, and writes what it
// read: the bytes are the same. A back channel has no end, so it breaks off.
func TestRoundTrip(t *testing.T) {
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			want := s.encode(t)
			strict := s.opts
			strict.Strict = true
			var got bytes.Buffer
			err := recode(&got, iotest.HalfReader(bytes.NewReader(want)), strict)
			if s.opts.BackChannel {
				if !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatal(err)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got.Bytes()); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestReaderStopsAtTheEnd gives a Reader more than the stream: what follows is
// left to whoever reads on.
func TestReaderStopsAtTheEnd(t *testing.T) {
	for _, s := range samples() {
		if s.opts.BackChannel {
			continue
		}
		src := bytes.NewBuffer(append(s.encode(t), Go...))
		if err := recode(io.Discard, src, s.opts); err != nil {
			t.Error(s.name, err)
		}
		if src.String() != Go {
			t.Errorf("%s: %q is left", s.name, src.String())
		}
	}
}

// TestBodiesComeBack compares what was read with what was written.
func TestBodiesComeBack(t *testing.T) {
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			r := NewReader(bytes.NewReader(s.encode(t)), s.opts)
			index, offset := 0, int64(0)
			for i, want := range s.bodies() {
				rec, err := r.Next()
				if err != nil {
					t.Fatal(i, err)
				}
				if d := cmp.Diff(plain(t, want), plain(t, rec.Body), cmpopts.EquateEmpty()); d != "" {
					t.Errorf("%d: (-wrote +read)\n%s", i, d)
				}
				wantIndex := -1
				if !want.Type().IsHeader() {
					wantIndex = index
					index++
				}
				if rec.Index != wantIndex || rec.Offset != offset {
					t.Errorf("%d: record %d at %#x, want %d at %#x", i, rec.Index, rec.Offset, wantIndex, offset)
				}
				offset += rec.Size()
			}
		})
	}
}

// plain is what b says, with all that is read once in memory.
func plain(t fataler, b Body) any {
	t.Helper()
	src, _ := streamOf(b)
	var text []byte
	if src != nil {
		var err error
		if text, err = io.ReadAll(aligned{src}); err != nil {
			t.Fatal(err)
		}
	}
	switch b := b.(type) {
	case *PageData:
		return []any{b.PFNs, b.Types, string(b.Data)}
	case *P2MFrames:
		return []any{b.Start, b.End, text}
	case *DirtyPFNs:
		return text
	case *EmulatorContext:
		return []any{b.ID, b.Index, b.Size, text}
	case *Optional:
		return []any{b.Kind, b.Size, text}
	case *VCPU:
		return []any{b.Kind, b.ID, string(b.Context)}
	case *SharedInfo:
		return string(b[:])
	case HVMContext:
		return string(b)
	}
	return b
}

// aligned reads multiples of 8 bytes, as pfnBytes wants it.
type aligned struct{ io.Reader }

func (a aligned) Read(b []byte) (int, error) { return a.Reader.Read(b[:len(b)&^7]) }

// fataler is a test, of package testing or of rapid.
type fataler interface {
	Helper()
	Fatal(...any)
}
