package disk

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"goxl/blkback/disk/disktest"
)

// TestCreate makes disks, writes to both of their ends, and has QEMU judge and read them.
func TestCreate(t *testing.T) {
	disktest.Need(t)
	dir := disktest.Dir(t)
	for _, tt := range []struct {
		format Format
		size   int64
	}{{Raw, 1 << 20}, {QCOW2, 512}, {QCOW2, 64 << 20}, {QCOW2, 5<<30 + 512}, {QCOW2, 8 << 40}} {
		path := filepath.Join(dir, string(tt.format)+"-disk")
		if err := Create(path, tt.format, tt.size); err != nil {
			t.Fatal(err)
		}
		d, _, err := Open(t.Context(), path, Options{Format: tt.format})
		if err != nil {
			t.Fatal(err)
		}
		if d.Size() != tt.size {
			t.Errorf("%s of %d bytes has %d", tt.format, tt.size, d.Size())
		}
		p := make([]byte, 512)
		if _, err := d.ReadAt(p, tt.size-512); err != nil || !bytes.Equal(p, make([]byte, 512)) {
			t.Errorf("it is not empty: %v", err)
		}
		for _, off := range []int64{0, tt.size - 512} {
			if _, err := d.WriteAt(bytes.Repeat([]byte{0xa5}, 512), off); err != nil {
				t.Error(err)
			}
		}
		if err := errors.Join(d.Flush(), d.Close()); err != nil {
			t.Error(err)
		}
		if tt.format == QCOW2 {
			if out := disktest.Img(t, "check", "-f", "qcow2", path); !strings.Contains(out, "No errors") {
				t.Error(out)
			}
		}
		said := disktest.IO(t, string(tt.format), path, "read -P 0xa5 0 512", "length")
		if strings.Contains(said, "verification failed") {
			t.Error(said)
		}
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", fi.Mode(), err)
		}
		if err := Create(path, tt.format, tt.size); !errors.Is(err, os.ErrExist) {
			t.Errorf("once more: %v", err)
		}
		os.Remove(path)
	}
	for _, tt := range []struct {
		format Format
		size   int64
	}{{VHD, 1 << 20}, {Raw, 0}, {Raw, 511}, {QCOW2, -512}, {QCOW2, 1 << 60}} {
		path := filepath.Join(dir, "none")
		if err := Create(path, tt.format, tt.size); err == nil {
			t.Errorf("%s of %d bytes was made", tt.format, tt.size)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s of %d bytes: %v", tt.format, tt.size, err)
		}
	}
}
