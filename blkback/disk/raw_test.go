package disk

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// newFile makes a file of that content and returns its path.
func newFile(t testing.TB, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// noise is n bytes that depend on seed.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	rand.NewChaCha8(key).Read(b)
	return b
}

func mustOpen(t testing.TB, path string, o Options) (Disk, Info) {
	t.Helper()
	d, info, err := Open(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, info
}

func TestRawOpen(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		name string
		path string
		o    Options
		want error
	}{
		{"a directory", dir, Options{Format: Raw, ReadOnly: true}, nil},
		{"a character device", "/dev/null", Options{Format: Raw}, nil},
		{"nothing", filepath.Join(dir, "none"), Options{Format: Raw}, os.ErrNotExist},
		{"no format", newFile(t, noise(1, 512)), Options{}, nil},
		{"an unknown format", newFile(t, noise(1, 512)), Options{Format: "qed"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, _, err := Open(context.Background(), tt.path, tt.o)
			if err == nil {
				d.Close()
				t.Fatal("it was opened")
			}
			if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Open = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestRawRange(t *testing.T) {
	d, info := mustOpen(t, newFile(t, noise(1, 5000)), Options{Format: Raw})
	if d.Size() != 4608 || info.Format != Raw || info.SectorSize != 512 || info.ReadOnly {
		t.Errorf("size %d, info %+v", d.Size(), info)
	}
	for _, r := range []struct{ off, n int64 }{{-512, 512}, {4608, 1}, {4096, 1024}, {1 << 62, 512}, {512, 1<<63 - 1}} {
		if err := d.Discard(r.off, r.n); !errors.Is(err, ErrRange) {
			t.Errorf("Discard(%d, %d) = %v", r.off, r.n, err)
		}
		p := make([]byte, min(r.n, 4096))
		if int64(len(p)) != r.n {
			continue
		}
		if _, err := d.ReadAt(p, r.off); !errors.Is(err, ErrRange) {
			t.Errorf("ReadAt(%d bytes, %d) = %v", r.n, r.off, err)
		}
		if _, err := d.WriteAt(p, r.off); !errors.Is(err, ErrRange) {
			t.Errorf("WriteAt(%d bytes, %d) = %v", r.n, r.off, err)
		}
	}
}

func TestRawReadOnly(t *testing.T) {
	path := newFile(t, noise(1, 4096))
	d, info := mustOpen(t, path, Options{Format: Raw, ReadOnly: true})
	if !info.ReadOnly {
		t.Error("info does not say so")
	}
	if _, err := d.WriteAt(make([]byte, 512), 0); !errors.Is(err, ErrReadOnly) {
		t.Errorf("WriteAt = %v", err)
	}
	if err := d.Discard(0, 512); !errors.Is(err, ErrReadOnly) {
		t.Errorf("Discard = %v", err)
	}
	if got, _ := os.ReadFile(path); !bytes.Equal(got, noise(1, 4096)) {
		t.Error("the file has changed")
	}
}

// A file that somebody cuts short must not turn into zeroes or old buffers.
func TestRawCutShort(t *testing.T) {
	path := newFile(t, noise(1, 8192))
	d, _ := mustOpen(t, path, Options{Format: Raw})
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	if _, err := d.ReadAt(make([]byte, 8192), 0); err == nil {
		t.Error("a read beyond the file's new end succeeded")
	}
	if size, err := d.(Refresher).Refresh(); err != nil || size != 4096 || d.Size() != 4096 {
		t.Errorf("Refresh = %d, %v; Size = %d", size, err, d.Size())
	}
}

func TestRawAfterClose(t *testing.T) {
	d, _ := mustOpen(t, newFile(t, noise(1, 4096)), Options{Format: Raw})
	for range 2 {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.ReadAt(make([]byte, 512), 0); err == nil {
		t.Error("ReadAt after Close succeeded")
	}
	if err := d.Flush(); err == nil {
		t.Error("Flush after Close succeeded")
	}
}

// Whatever the alignment of offset, length and buffer, with and without the page
// cache, a raw disk is an array of bytes.
func TestRawLikeMemory(t *testing.T) {
	for _, direct := range []bool{false, true} {
		t.Run(map[bool]string{false: "page cache", true: "direct"}[direct], func(t *testing.T) {
			const size = 1 << 20
			path := newFile(t, noise(2, size))
			d, info := mustOpen(t, path, Options{Format: Raw, Direct: direct})
			if direct && !info.Direct {
				t.Fatal("this file system has no direct I/O: the test would say nothing; set TMPDIR to one that has")
			}
			model := noise(2, size)
			rapid.Check(t, func(t *rapid.T) {
				off := rapid.IntRange(0, size-1).Draw(t, "off")
				n := rapid.IntRange(0, min(size-off, 600<<10)).Draw(t, "n")
				if rapid.Bool().Draw(t, "aligned") {
					off, n = off&^4095, n&^4095
				}
				shift := rapid.SampledFrom([]int{0, 1, 512}).Draw(t, "shift of the buffer")
				buf := make([]byte, n+shift)[shift:]
				switch rapid.SampledFrom([]string{"read", "write", "discard"}).Draw(t, "op") {
				case "read":
					if got, err := d.ReadAt(buf, int64(off)); err != nil || got != n {
						t.Fatalf("ReadAt = %d, %v", got, err)
					}
					if !bytes.Equal(buf, model[off:off+n]) {
						t.Fatal("read something else")
					}
				case "write":
					copy(buf, noise(uint64(off), n))
					if got, err := d.WriteAt(buf, int64(off)); err != nil || got != n {
						t.Fatalf("WriteAt = %d, %v", got, err)
					}
					copy(model[off:], buf)
				case "discard":
					if err := d.Discard(int64(off), int64(n)); err != nil {
						t.Fatal(err)
					}
					clear(model[off : off+n]) // a hole in a file
				}
			})
			if err := d.Flush(); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, model) {
				t.Errorf("the file differs from the model (%v)", err)
			}
		})
	}
}

// Neighbouring writes that share a block of direct I/O must not undo each other.
func TestRawNeighbours(t *testing.T) {
	const size, parts = 64 << 10, 128
	path := newFile(t, make([]byte, size))
	d, _ := mustOpen(t, path, Options{Format: Raw, Direct: true})
	want := noise(3, size)
	var wg sync.WaitGroup
	for i := range parts {
		wg.Go(func() {
			n := size / parts
			if _, err := d.WriteAt(want[i*n:(i+1)*n], int64(i*n)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, _ := os.ReadFile(path); !bytes.Equal(got, want) {
		t.Error("a write was lost")
	}
}

func TestRawLock(t *testing.T) {
	path := newFile(t, noise(1, 4096))
	open := func(o Options) error {
		o.Format = Raw
		d, _, err := Open(context.Background(), path, o)
		if err == nil {
			t.Cleanup(func() { d.Close() })
		}
		return err
	}
	reader, _ := mustOpen(t, path, Options{Format: Raw, ReadOnly: true})
	writer, _ := mustOpen(t, path, Options{Format: Raw})
	if err := open(Options{}); !errors.Is(err, ErrLocked) {
		t.Errorf("a second writer: %v", err)
	}
	if err := open(Options{NoLock: true}); err != nil {
		t.Errorf("a second writer that asks for no lock: %v", err)
	}
	reader.Close()
	writer.Close()
	if err := open(Options{}); err != nil {
		t.Errorf("a writer after the first: %v", err)
	}
}

func TestParseFormat(t *testing.T) {
	for _, f := range formats {
		if got, err := ParseFormat(string(f)); got != f || err != nil {
			t.Errorf("ParseFormat(%q) = %q, %v", f, got, err)
		}
	}
	for _, s := range []string{"", "RAW", "qed"} {
		if got, err := ParseFormat(s); err == nil {
			t.Errorf("ParseFormat(%q) = %q", s, got)
		}
	}
}
