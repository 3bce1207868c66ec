package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// pages are n pages of a kind.
func pages(kind string, n int) []byte {
	b := make([]byte, n*PageSize)
	r := rand.NewChaCha8([32]byte{1})
	switch kind {
	case "zero":
	case "random":
		r.Read(b)
	case "same":
		r.Read(b[:min(PageSize, len(b))])
		for i := 1; i < n; i++ {
			copy(b[i*PageSize:], b[:PageSize])
		}
	case "mixed": // as a guest's: a quarter is zero, an eighth a duplicate, the rest half empty, half words
		words := make([]byte, 64)
		r.Read(words)
		for i := range n {
			p := b[i*PageSize : (i+1)*PageSize]
			switch {
			case i%4 == 0:
			case i%8 == 1:
				copy(p, "a page that is there often")
			default:
				for j := range PageSize / 2 {
					p[j] = words[(i*7+j*j>>3)%64]
				}
				binary.LittleEndian.PutUint64(p, uint64(i))
			}
		}
	}
	return b
}

// pack packs what is written in pieces.
func pack(t interface{ Fatal(...any) }, writes ...[]byte) []byte {
	var out bytes.Buffer
	w := NewWriter(&out)
	for _, b := range writes {
		if n, err := w.Write(b); n != len(b) || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w.Written() != int64(out.Len()) {
		t.Fatal(w.Written(), out.Len())
	}
	return out.Bytes()
}

// unpack returns what is in a packed stream that src gives.
func unpack(src io.Reader) ([]byte, error) {
	plain, packed, err := Detect(src)
	if err != nil {
		return nil, err
	}
	if packed == nil {
		return nil, errors.New("it is not packed")
	}
	b, err := io.ReadAll(plain)
	if err == nil {
		err = packed.Finish()
	}
	return b, err
}

func TestRoundTrip(t *testing.T) {
	for _, kind := range []string{"zero", "random", "same", "mixed"} {
		for _, n := range []int{0, 1, 255, 256, 257, 5000} { // around a block, and more than the window
			b := pages(kind, n)
			header := []byte("a header")
			packed := pack(t, header, b, b, header)
			want := bytes.Join([][]byte{header, b, b, header}, nil)
			got, err := unpack(bytes.NewReader(packed))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d pages, %s: %v, %d bytes of %d", n, kind, err, len(got), len(want))
			}
			t.Logf("%d pages, %s: %d bytes for %d", n, kind, len(packed), len(want))
		}
	}
}

// Whatever is written in whatever pieces comes out again, and nothing after the
// end is read.
func TestRoundTripProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var writes [][]byte
		seed := rand.NewChaCha8([32]byte{byte(rapid.IntRange(0, 255).Draw(t, "seed"))})
		for range rapid.IntRange(0, 12).Draw(t, "writes") {
			b := make([]byte, rapid.IntRange(0, 3).Draw(t, "pages")*PageSize+rapid.SampledFrom([]int{0, 0, 1, 9000}).Draw(t, "more"))
			if rapid.Bool().Draw(t, "filled") {
				seed.Read(b)
			}
			writes = append(writes, b)
			if rapid.Bool().Draw(t, "again") {
				writes = append(writes, b)
			}
		}
		want := bytes.Join(writes, nil)
		src := bytes.NewReader(append(pack(t, writes...), "what follows"...))
		got, err := unpack(iotest.OneByteReader(src))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%v, %d bytes of %d", err, len(got), len(want))
		}
		if rest, _ := io.ReadAll(src); string(rest) != "what follows" {
			t.Fatalf("what follows is %q", rest)
		}
	})
}

// Pages that are zero, or went before, cost next to nothing.
func TestElision(t *testing.T) {
	for kind, most := range map[string]int{"zero": 100, "same": PageSize + 10*1000, "mixed": 5000 * PageSize / 8} {
		if n := len(pack(t, pages(kind, 5000))); n > most {
			t.Errorf("%s: 5000 pages take %d bytes, want at most %d", kind, n, most)
		}
	}
	once := pages("random", windowPages)
	one := len(pack(t, once))
	if twice := len(pack(t, once, once)); twice > one+one/20 { // a few are not found again
		t.Errorf("%d bytes for what is sent again, %d for the first time", twice-one, one)
	}
}

// Every cut of a stream is an error that says so.
func TestTruncation(t *testing.T) {
	all := pack(t, []byte("header"), pages("mixed", 40), pages("random", 300), pages("zero", 3), []byte("end"))
	for n := range all {
		if n > 300 && n < len(all)-300 && n%4999 != 0 {
			continue
		}
		_, err := unpack(bytes.NewReader(all[:n]))
		if err == nil || n >= len(Magic) && (!errors.Is(err, ErrDamaged) || !errors.Is(err, io.ErrUnexpectedEOF)) {
			t.Errorf("cut after %d of %d bytes: %v", n, len(all), err)
		}
	}
}

// So is every bit that is flipped.
func TestBitFlips(t *testing.T) {
	all := pack(t, []byte("header"), pages("mixed", 8), []byte("end"))
	for i := range all {
		for bit := range 8 {
			all[i] ^= 1 << bit
			if _, err := unpack(bytes.NewReader(all)); err == nil || i >= len(Magic) && !errors.Is(err, ErrDamaged) {
				t.Errorf("bit %d of byte %d flipped: %v", bit, i, err)
			}
			all[i] ^= 1 << bit
		}
	}
	t.Logf("%d bits", 8*len(all))
}

// block is a block with a right checksum.
func block(kind int, content []byte) []byte {
	h := binary.LittleEndian.AppendUint32(nil, uint32(kind)|uint32(len(content))<<8)
	return append(binary.LittleEndian.AppendUint32(h, checksum(h, content)), content...)
}

func words(n ...uint32) (b []byte) {
	for _, w := range n {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}

func TestHostile(t *testing.T) {
	w := NewWriter(io.Discard)
	bomb := w.zstd.EncodeAll(make([]byte, 64<<20), nil)
	for _, tt := range []struct {
		name  string
		block []byte
		want  string
	}{
		{"nothing", block(blockRaw, nil), "0 bytes long"},
		{"a kind of block that is none", block(3, []byte("....")), "unknown"},
		{"longer than any", []byte{blockRaw, 1, 0, 0x10, 0, 0, 0, 0}, "1048577 bytes long"},
		{"no zstd", block(blockZstd, []byte("....")), "magic"},
		{"one that unpacks to 64 MiB", block(blockZstd, bomb), "size"},
		{"half a piece", block(blockRaw, []byte("..")), "2 bytes are no piece"},
		{"a kind of piece that is none", block(blockRaw, words(7<<numberBits)), "kind 7"},
		{"pages that do not follow", block(blockRaw, words(piecePages<<numberBits|maxNumber)), "0 follow"},
		{"bytes that do not follow", block(blockRaw, words(maxNumber, 0)), "4 follow"},
		{"a page that never was", block(blockRaw, words(pieceAgain<<numberBits)), "page 0 was not sent"},
		{"a slot that there is none of", block(blockRaw, words(pieceAgain<<numberBits|windowPages)), "page 4096 was not sent"},
		{"an end too long", block(blockEnd, make([]byte, 9)), "an end of 9 bytes"},
		{"an end of something else", block(blockEnd, words(1, 0)), "0 bytes came, and 1 were sent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := unpack(bytes.NewReader(append([]byte(Magic), tt.block...)))
			if !errors.Is(err, ErrDamaged) || !bytes.Contains([]byte(err.Error()), []byte(tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// A stream that is not packed comes out as it is.
func TestDetectPlain(t *testing.T) {
	for _, text := range []string{"", "goxl", "Xen saved domain, xl format"} {
		plain, packed, err := Detect(iotest.HalfReader(bytes.NewReader([]byte(text))))
		if err != nil || packed != nil {
			t.Fatal(packed, err)
		}
		if got, err := io.ReadAll(plain); string(got) != text || err != nil {
			t.Errorf("%q, %v, want %q", got, err, text)
		}
	}
}

// What nobody read before the end is an error, not passed over.
func TestFinishEarly(t *testing.T) {
	for _, b := range [][]byte{[]byte("text"), pages("zero", 2), pages("random", 2)} {
		plain, packed, err := Detect(bytes.NewReader(pack(t, b, b)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(plain, make([]byte, len(b)+1)); err != nil {
			t.Fatal(err)
		}
		if err := packed.Finish(); !errors.Is(err, ErrDamaged) {
			t.Errorf("error %v", err)
		}
	}
}

// failing fails from the nth write on.
type failing struct{ left int }

var errFull = errors.New("full")

func (f *failing) Write(b []byte) (int, error) {
	if f.left--; f.left < 0 {
		return len(b) / 2, errFull
	}
	return len(b), nil
}

// An error of what is written to is told at once and ever after.
func TestWriteFails(t *testing.T) {
	b := pages("random", 700)
	for n := 0; ; n++ {
		w := NewWriter(&failing{n})
		_, err := w.Write(b)
		if err == nil {
			err = w.Close()
		}
		if err == nil {
			break
		}
		if !errors.Is(err, errFull) {
			t.Errorf("write %d: %v", n, err)
		}
		if _, again := w.Write(b); again == nil {
			t.Error("it goes on")
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(pack(f, []byte("header"), pages("mixed", 12), pages("random", 2))[len(Magic):], true)
	f.Add(words(piecePages<<numberBits|1), false)
	f.Add(words(pieceZeroes<<numberBits|4, 3, 0x636261), false)
	f.Fuzz(func(t *testing.T, b []byte, whole bool) {
		if !whole { // past the checksum, which stops every random change
			b = append(block(blockRaw, b), block(blockEnd, make([]byte, 8))...)
		}
		plain, packed, err := Detect(io.MultiReader(bytes.NewReader([]byte(Magic)), bytes.NewReader(b)))
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, io.LimitReader(plain, 1<<20))
		if err == nil && n < 1<<20 {
			err = packed.Finish()
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Error(err)
		}
	})
}
