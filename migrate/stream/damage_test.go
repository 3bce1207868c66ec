package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
)

// TestTruncation breaks off the samples at every byte: each ends with an error
// that says so and names the place.
func TestTruncation(t *testing.T) {
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			all := s.encode(t)
			for n := range all {
				err := recode(io.Discard, bytes.NewReader(all[:n]), s.opts)
				var at *Error
				if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.As(err, &at) {
					t.Fatalf("%d of %d bytes: %v", n, len(all), err)
				}
				if at.Offset > int64(n) || at.Code() != "stream.truncated" || !strings.Contains(err.Error(), " at offset 0x") {
					t.Fatalf("%d bytes: %v", n, err)
				}
			}
		})
	}
}

// TestBitFlips turns over every bit of every sample, of long runs of equal bytes
// only a part: it ends with an error that names the place, or it is a stream of
// another content, which strictly read is written again as it was.
func TestBitFlips(t *testing.T) {
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			all := s.encode(t)
			for bit := range 8 * len(all) {
				if inRun(bit/8, all) && bit%97 != 0 {
					continue
				}
				all[bit/8] ^= 1 << (bit % 8)
				for _, strict := range []bool{false, true} {
					o := s.opts
					o.Strict = strict
					if err := checkDamaged(all, o); err != nil {
						t.Fatalf("bit %d: %v", bit, err)
					}
				}
				all[bit/8] ^= 1 << (bit % 8)
			}
		})
	}
}

// inRun reports whether byte i lies deep among equal ones: the content of a page
// or of a vcpu's state, of which any will do.
func inRun(i int, b []byte) bool {
	return i > 64 && i+64 < len(b) && bytes.Count(b[i-64:i+64], b[i:i+1]) == 128
}

// checkDamaged reads any bytes and tells what should not have happened.
func checkDamaged(all []byte, o Options) error {
	var out bytes.Buffer
	err := recode(&out, bytes.NewReader(all), o)
	var at *Error
	switch {
	case err == nil:
		if o.Strict && !bytes.Equal(out.Bytes(), all[:out.Len()]) {
			return errors.New("it was read, but is written as something else")
		}
		return nil
	case !errors.As(err, &at) || !strings.Contains(err.Error(), " at offset 0x"):
		return errors.Join(errors.New("without a place"), err)
	case at.Offset > int64(len(all)):
		return errors.Join(errors.New("at a wrong place"), err)
	case !errors.Is(err, ErrStream) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, errors.ErrUnsupported):
		return errors.Join(errors.New("of an unknown class"), err)
	}
	return nil
}

// TestHostileLengths ends a stream after the header of a record that claims to be
// long. Whatever it claims, little memory is taken for it.
func TestHostileLengths(t *testing.T) {
	const bound = 192 << 10
	claims := []uint32{1 << 10, 1 << 16, 4 << 20, 8 + MaxPages*(8+4096), 16 << 20, 64<<20 + 8, 128 << 20, 1 << 30, 1<<32 - 1}
	for _, s := range samples() {
		var head bytes.Buffer
		w := NewWriter(&head, s.opts)
		for _, b := range s.bodies() {
			if !b.Type().IsHeader() {
				for _, n := range claims {
					claimed := binary.LittleEndian.AppendUint32(bytes.Clone(head.Bytes()), b.Type().Number())
					claimed = append(binary.LittleEndian.AppendUint32(claimed, n), make([]byte, 64)...)
					if got := allocated(func() { checkEnds(t, claimed, s.opts) }); got > bound {
						t.Errorf("%s: %v of %d bytes: %d bytes were allocated", s.name, b.Type(), n, got)
					}
				}
			}
			if err := w.Write(b); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestHostileOptionalData is the same for the data behind an xl header.
func TestHostileOptionalData(t *testing.T) {
	head := encode(t, Options{}, []Body{config("pvh")})[:xlHeaderSize]
	for _, n := range []uint32{0, 3, 4, 1 << 20, MaxOptional, MaxOptional + 1, 1<<32 - 1} {
		binary.LittleEndian.PutUint32(head[44:], n)
		if got := allocated(func() { checkEnds(t, head, Options{}) }); got > 192<<10 {
			t.Errorf("%d bytes: %d bytes were allocated", n, got)
		}
	}
}

// checkEnds reads b, which cannot be a whole stream.
func checkEnds(t *testing.T, b []byte, o Options) {
	r := NewReader(bytes.NewReader(b), o)
	var err error
	for err == nil {
		_, err = r.Next()
	}
	if err == io.EOF {
		t.Error("it was read to its end")
	}
}

// allocated is how many bytes f allocates, freed ones included.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func fuzzLayer(f *testing.F, o Options) {
	for _, s := range samples() {
		if s.opts.Outermost == o.Outermost && s.opts.BackChannel == o.BackChannel {
			f.Add(s.encode(f))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, strict := range []bool{false, true} {
			for _, c := range []Checkpoints{NoCheckpoints, Remus, COLO} {
				o.Strict, o.Checkpoints = strict, c
				if err := checkDamaged(b, o); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := Inspect(io.Discard, bytes.NewReader(b), o); err != nil {
			var at *Error
			if !errors.As(err, &at) {
				t.Fatal(err)
			}
		}
	})
}

func FuzzXL(f *testing.F)          { fuzzLayer(f, Options{Outermost: LayerXL}) }
func FuzzLibxl(f *testing.F)       { fuzzLayer(f, Options{Outermost: LayerLibxl}) }
func FuzzLibxc(f *testing.F)       { fuzzLayer(f, Options{Outermost: LayerLibxc}) }
func FuzzBackChannel(f *testing.F) { fuzzLayer(f, Options{BackChannel: true}) }

func FuzzHVMContext(f *testing.F) {
	f.Add([]byte(hvmContext()))
	f.Fuzz(func(t *testing.T, b []byte) {
		size := 8
		for s, err := range HVMContext(b).All() {
			if err != nil {
				if !errors.Is(err, ErrStream) {
					t.Fatal(err)
				}
				return
			}
			size += 8 + len(s.Data)
		}
		if size != len(b) {
			t.Fatalf("%d of %d bytes", size, len(b))
		}
	})
}
