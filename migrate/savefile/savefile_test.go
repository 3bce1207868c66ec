package savefile

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"goxl/migrate/stream"
	"goxl/migrate/transport"
	"goxl/xenctrl/abi"
)

// saved is a plain saved guest of n pages, some of them zeroes, some the same.
func saved(t testing.TB, n int) []byte {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	page := &stream.PageData{}
	for i := range n {
		content := make([]byte, abi.PageSize)
		switch i % 4 {
		case 0:
			for j := range content {
				content[j] = byte(random.Uint32())
			}
		case 1:
			content[7] = 7
		}
		page.PFNs, page.Types = append(page.PFNs, abi.PFN(i)), append(page.Types, stream.PageNormal)
		page.Data = append(page.Data, content...)
	}
	var b bytes.Buffer
	w := stream.NewWriter(&b, stream.Options{})
	for _, body := range []stream.Body{
		&stream.XLHeader{Config: []byte(`{"c_info": {"type": "pvh", "name": "web"}}` + "\x00")},
		&stream.LibxlHeader{}, stream.Mark(stream.TypeLibxcContext),
		&stream.LibxcHeader{Version: 3, Guest: stream.GuestHVM, XenMajor: 4, XenMinor: 17},
		stream.Mark(stream.TypeStaticDataEnd), page, stream.HVMContext{0, 0, 0, 0, 0, 0, 0, 0},
		stream.Mark(stream.TypeEnd), stream.Mark(stream.TypeLibxlEnd),
	} {
		if err := w.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// compressed is plain through a Writer, in pieces of at most so many bytes.
func compressed(t testing.TB, plain []byte, most int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b)
	for rest := plain; len(rest) > 0; {
		n, err := w.Write(rest[:min(most, len(rest))])
		if err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w.Written() != int64(b.Len()) {
		t.Errorf("Written() = %d of %d", w.Written(), b.Len())
	}
	return b.Bytes()
}

// unpacked is what a Reader makes of a file.
func unpacked(src io.Reader) ([]byte, error) {
	r, err := Open(src)
	if err != nil {
		return nil, err
	}
	all, err := io.ReadAll(r)
	return all, errors.Join(err, r.Finish())
}

func TestCompressedIsThePlainFile(t *testing.T) {
	plain := saved(t, 64)
	for _, most := range []int{1, 47, 48, 49, 4096, 1 << 30} {
		file := compressed(t, plain, most)
		if most > 4096 && len(file) > len(plain)/2 {
			t.Errorf("in pieces of %d: %d bytes became %d", most, len(plain), len(file))
		}
		for name, src := range map[string]io.Reader{"at once": bytes.NewReader(file), "byte by byte": iotest.OneByteReader(bytes.NewReader(file))} {
			got, err := unpacked(src)
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("in pieces of %d, read %s: %d bytes for %d, %v", most, name, len(got), len(plain), err)
			}
		}
	}
}

// TestCompressedSaysSo looks at what a reader sees that knows of no compression.
func TestCompressedSaysSo(t *testing.T) {
	file := compressed(t, saved(t, 4), 1<<30)
	if !bytes.Contains(file, []byte(`"name": "web"`)) {
		t.Error("the configuration cannot be read without unpacking")
	}
	_, err := stream.Verify(bytes.NewReader(file), stream.Options{})
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "mandatory flags 0x80000000 are unknown") {
		t.Errorf("a reader that does not know the flag says %v", err)
	}
	r, err := Open(bytes.NewReader(file))
	if err != nil || !r.Compressed() || !r.Packed() {
		t.Errorf("Open: %v, %+v", err, r)
	}
}

// TestOpenLeavesOthersAlone gives what is not compressed, to the byte and no further.
func TestOpenLeavesOthersAlone(t *testing.T) {
	plain := saved(t, 4)
	for name, in := range map[string][]byte{
		"nothing": nil, "a byte": {1}, "text": []byte("kernel = \"/boot/vmlinuz\"\n"), "a stream of libxl": plain[bytes.Index(plain, []byte("LibxlFmt")):],
		"plain": plain, "a header cut short": plain[:40],
	} {
		src := bytes.NewReader(append(append([]byte(nil), in...), "tail"...))
		r, err := Open(src)
		if err != nil {
			t.Fatal(err)
		}
		if r.Packed() || r.Compressed() {
			t.Errorf("%s counts as packed", name)
		}
		got := make([]byte, len(in))
		if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, in) {
			t.Errorf("%s: %v, %q", name, err, got)
		}
		if err := r.Finish(); err != nil {
			t.Errorf("%s: Finish: %v", name, err)
		}
	}
}

// TestCutAnywhere cuts a compressed file off everywhere, and appends to it: it is
// never taken for whole.
func TestCutAnywhere(t *testing.T) {
	file := compressed(t, saved(t, 8), 1<<30)
	for n := stream.XLHeaderSize; n < len(file); n++ {
		if _, err := unpacked(bytes.NewReader(file[:n])); err == nil {
			t.Fatalf("cut off after %d of %d bytes it counts as whole", n, len(file))
		}
	}
	src := bytes.NewReader(append(file, "tail"...))
	if _, err := unpacked(src); err != nil || src.Len() != 4 {
		t.Errorf("%v, and %d bytes of what follows are left of 4", err, src.Len())
	}
}

// TestPlainBehindTheFlag is a file that only says that it is compressed.
func TestPlainBehindTheFlag(t *testing.T) {
	plain := saved(t, 4)
	setFlags(plain, flags(plain)|FlagPacked)
	if _, err := unpacked(bytes.NewReader(plain)); !errors.Is(err, transport.ErrDamaged) {
		t.Errorf("got %v", err)
	}
}

func TestWriterRefusesOthers(t *testing.T) {
	if _, err := NewWriter(io.Discard).Write(make([]byte, 64)); err == nil {
		t.Error("zeroes count as a saved guest")
	}
	w := NewWriter(io.Discard)
	if _, err := w.Write(saved(t, 1)[:50]); err != nil {
		t.Error(err)
	}
	if err := w.Close(); err == nil {
		t.Error("it can be closed within the configuration")
	}
}

// FuzzOpen reads anything: it ends, with an error or without, and gives no more than
// it was given, or could have been packed into that.
func FuzzOpen(f *testing.F) {
	plain := saved(f, 2)
	f.Add(plain)
	f.Add(compressed(f, plain, 1<<30))
	f.Add(compressed(f, plain, 1<<30)[:200])
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Open(bytes.NewReader(b))
		if err != nil {
			return
		}
		n, err := io.Copy(io.Discard, io.LimitReader(r, 64<<20))
		if !r.Packed() && (err != nil || n != int64(len(b))) {
			t.Errorf("%d bytes plain: %d, %v", len(b), n, err)
		}
		r.Finish()
	})
}
