package qcow2

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"

	"goxl/blkback/disk/disktest"
)

// newImage has QEMU make an image and opens it in memory.
func newImage(t testing.TB, size string, options string) (*Image, *memFile) {
	t.Helper()
	disktest.Need(t)
	path := filepath.Join(disktest.Dir(t), "disk.qcow2")
	disktest.Img(t, "create", "-q", "-f", "qcow2", "-o", options, path, size)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &memFile{b: b}
	im, err := Open(f, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return im, f
}

func mustAudit(t *testing.T, f *memFile, leaks int) {
	t.Helper()
	if n, err := audit(f.b); err != nil || n > leaks {
		t.Errorf("the image has %d leaks, error %v", n, err)
	}
}

// A full file system is told to the guest, harms nothing, and passes.
func TestNoSpace(t *testing.T) {
	im, f := newImage(t, "8M", "cluster_size=4k")
	f.limit = 1<<20 + 2048
	p := bytes.Repeat([]byte{1}, 64<<10)
	var written int64
	var err error
	for off := int64(0); off < im.Size() && err == nil; off += int64(len(p)) {
		var n int
		n, err = im.WriteAt(p, off)
		written += int64(n)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("writing to a full file system: %v", err)
	}
	if written < 700<<10 {
		t.Errorf("only %d bytes fit into a file of 1 MiB", written)
	}
	mustAudit(t, f, 1<<20)
	f.limit = 0
	if _, err := im.WriteAt(p, 4<<20); err != nil {
		t.Errorf("after there is room again: %v", err)
	}
	got := make([]byte, written)
	if _, err := im.ReadAt(got, 0); err != nil || !bytes.Equal(got, bytes.Repeat([]byte{1}, int(written))) {
		t.Errorf("what was written before is not there: %v", err)
	}
	if err := im.Close(); err != nil {
		t.Fatal(err)
	}
	mustAudit(t, f, 0)
}

// A file system that is full only when the data of several clusters are written, which is
// how sparse files find it, takes and gives back each of them once.
func TestNoSpaceForData(t *testing.T) {
	im, f := newImage(t, "8M", "cluster_size=4k")
	p := bytes.Repeat([]byte{1}, 64<<10)
	if _, err := im.WriteAt(p, 0); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		f.fail = func(op string) error {
			if op == "write" {
				return syscall.ENOSPC
			}
			return nil
		}
		if _, err := im.WriteAt(p, 1<<20); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("writing to a full file system: %v", err)
		}
		f.fail = nil
		if err := im.Flush(); err != nil {
			t.Fatalf("flush after that: %v", err)
		}
	}
	if _, err := im.WriteAt(p, 2<<20); err != nil {
		t.Errorf("after there is room again: %v", err)
	}
	if err := im.Close(); err != nil {
		t.Fatal(err)
	}
	mustAudit(t, f, 0)
}

// Whichever access to the file fails, once or from then on, the image stays sound.
func TestBrokenMedium(t *testing.T) {
	for _, forever := range []bool{false, true} {
		for n := range 40 {
			im, f := newImage(t, "256k", "cluster_size=512")
			count := 0
			var broke string
			f.fail = func(op string) error {
				count++
				if count == n+1 || forever && count > n {
					broke = op
					return errBroken
				}
				return nil
			}
			var failed bool
			for off := int64(0); off < 64<<10; off += 8 << 10 {
				for _, err := range []error{
					second(im.WriteAt(bytes.Repeat([]byte{1}, 3000), off)), im.Discard(off, 1024), im.Flush(),
				} {
					if err != nil {
						failed = true
						if !errors.Is(err, errBroken) {
							t.Fatalf("access %d: %v", n, err)
						}
					}
				}
			}
			err := im.Close()
			if failed {
				mustAudit(t, f, 1<<20)
				continue
			}
			// A reserve that could not be filled is filled later: no harm is left.
			mustAudit(t, f, 0)
			if err != nil || forever || broke == "flush" {
				t.Errorf("access %d, a %s, broke and nobody was told before Close: %v", n, broke, err)
			}
			for off := int64(0); off < 64<<10; off += 8 << 10 {
				if p := reread(t, f, off+1024, 3000-1024); !bytes.Equal(p, bytes.Repeat([]byte{1}, len(p))) {
					t.Errorf("access %d, a %s, broke, nobody was told, and data are lost", n, broke)
				}
			}
		}
	}
}

// reread opens an image anew and reads from it.
func reread(t *testing.T, f *memFile, off int64, n int) []byte {
	t.Helper()
	im, err := Open(&memFile{b: f.b}, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, n)
	if _, err := im.ReadAt(p, off); err != nil {
		t.Fatal(err)
	}
	return p
}

func second[A any](_ A, err error) error { return err }

// A damaged entry ends the writing, marks the image, and leaves the rest readable.
func TestMarksCorrupt(t *testing.T) {
	im, f := newImage(t, "1M", "cluster_size=4k")
	if _, err := im.WriteAt([]byte{1}, 0); err != nil {
		t.Fatal(err)
	}
	im.mapMu.Lock()
	table := int64(im.l1[0] & offsetMask)
	im.l2.drop(table, 4096)
	im.mapMu.Unlock()
	copy(f.b[table+8:], []byte{0x80, 0, 0, 0, 0, 0, 0, 8}) // reserved bits
	if _, err := im.WriteAt([]byte{1}, 4096); !errors.Is(err, ErrCorrupt) {
		t.Errorf("WriteAt over a damaged entry = %v", err)
	}
	if _, err := im.WriteAt([]byte{1}, 0); !errors.Is(err, ErrCorrupt) {
		t.Errorf("WriteAt after that = %v", err)
	}
	p := []byte{0}
	if _, err := im.ReadAt(p, 0); err != nil || p[0] != 1 {
		t.Errorf("ReadAt elsewhere = %v", err)
	}
	if f.b[79]&featureCorrupt == 0 {
		t.Error("the header does not say that the image is damaged")
	}
	im.Close()
}

func TestClose(t *testing.T) {
	im, _ := newImage(t, "1M", "cluster_size=4k")
	for range 2 {
		if err := im.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for name, err := range map[string]error{
		"ReadAt":  second(im.ReadAt(make([]byte, 1), 0)),
		"WriteAt": second(im.WriteAt(make([]byte, 1), 0)),
		"Discard": im.Discard(0, 4096),
		"Flush":   im.Flush(),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after Close = %v", name, err)
		}
	}
}

// Overlapping holds wait for each other, in the order in which they came.
func TestRanges(t *testing.T) {
	for _, tt := range []struct {
		name  string
		a, b  span
		waits bool
	}{
		{"two readers", span{first: 0, last: 9}, span{first: 5, last: 6}, false},
		{"a writer under a reader", span{first: 0, last: 9}, span{first: 9, last: 12, exclusive: true}, true},
		{"a reader under a writer", span{first: 4, last: 4, exclusive: true}, span{first: 0, last: 9}, true},
		{"side by side", span{first: 0, last: 3, exclusive: true}, span{first: 4, last: 9, exclusive: true}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r ranges
				r.init()
				a := r.lock(tt.a.first, tt.a.last, tt.a.exclusive)
				got := false
				go func() {
					b := r.lock(tt.b.first, tt.b.last, tt.b.exclusive)
					got = true
					r.unlock(b)
				}()
				synctest.Wait()
				if got == tt.waits {
					t.Errorf("it waited: %v, want %v", !got, tt.waits)
				}
				r.unlock(a)
				synctest.Wait()
				if !got {
					t.Error("it still waits")
				}
				r.idle()
			})
		})
	}
}
