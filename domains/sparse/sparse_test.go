package sparse

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// memFile is a file in memory that knows which bytes were written.
type memFile struct {
	b       []byte
	written int
}

func (f *memFile) WriteAt(b []byte, off int64) (int, error) {
	if end := int(off) + len(b); end > len(f.b) {
		f.b = append(f.b, make([]byte, end-len(f.b))...)
	}
	f.written += len(b)
	return copy(f.b[off:], b), nil
}

func (f *memFile) Truncate(n int64) error {
	if int(n) > len(f.b) {
		f.b = append(f.b, make([]byte, int(n)-len(f.b))...)
	}
	f.b = f.b[:n]
	return nil
}

// TestSparseIsTheSameFile writes anything in any pieces: what is read is the same, and
// what was left out was zeroes.
func TestWriterIsTheSameFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []byte
		for range rapid.IntRange(0, 8).Draw(t, "parts") {
			n := rapid.IntRange(1, 3*holeLeast).Draw(t, "size")
			part := make([]byte, n)
			if rapid.Bool().Draw(t, "data") {
				part = bytes.Repeat([]byte{1}, n)
			}
			want = append(want, part...)
		}
		f := &memFile{}
		s := New(f)
		for rest := want; len(rest) > 0; {
			n := min(len(rest), rapid.IntRange(1, 3*holeLeast).Draw(t, "piece"))
			if m, err := s.Write(rest[:n]); m != n || err != nil {
				t.Fatalf("%d of %d, %v", m, n, err)
			}
			rest = rest[n:]
		}
		if err := s.Close(); err != nil || !bytes.Equal(f.b, want) {
			t.Fatalf("%v, %d bytes for %d", err, len(f.b), len(want))
		}
		if int64(f.written)+s.Skipped() != int64(len(want)) {
			t.Fatalf("%d written and %d left out of %d", f.written, s.Skipped(), len(want))
		}
	})
}

// TestSparseLeavesHoles looks at a file on a disk: a guest that is mostly zeroes takes
// little of it, and reads as it should.
func TestWriterLeavesHoles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "saved")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := New(f)
	want := append(bytes.Repeat([]byte("head"), 10), make([]byte, 4<<20)...)
	if n, err := s.Write(want); err != nil || n != len(want) {
		t.Fatal(n, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(name)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	if taken := st.Blocks * 512; taken > 64<<10 {
		t.Errorf("%d bytes are taken on the disk for %d, of which 40 are no zeroes", taken, len(want))
	}
}

// fullDisk is a file without room.
type fullDisk struct{ memFile }

func (f *fullDisk) WriteAt(b []byte, _ int64) (int, error) { return len(b) / 2, unix.ENOSPC }

func TestWriterTellsOfAFullDisk(t *testing.T) {
	if n, err := New(&fullDisk{}).Write([]byte("text")); n != 2 || err != unix.ENOSPC {
		t.Errorf("%d, %v", n, err)
	}
}

// BenchmarkSparse is on its way to /dev/zero, so that only looking for zeroes counts.
func BenchmarkSparse(b *testing.B) {
	f, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for name, fill := range map[string]byte{"zeroes": 0, "data": 1} {
		b.Run(name, func(b *testing.B) {
			data := bytes.Repeat([]byte{fill}, 4<<20)
			s := New(noTruncate{f})
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Write(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type noTruncate struct{ io.WriterAt }

func (noTruncate) Truncate(int64) error { return nil }
