package qcow2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"goxl/blkback/disk/disktest"
)

// seedImages are small images of all kinds, as QEMU makes them.
func seedImages(t testing.TB) [][]byte {
	t.Helper()
	disktest.Need(t)
	dir := disktest.Dir(t)
	var all [][]byte
	for _, args := range [][]string{
		{"-o", "compat=0.10,cluster_size=512"},
		{"-o", "cluster_size=512,refcount_bits=1"},
		{"-o", "cluster_size=512,compression_type=zstd"},
		{"-o", "cluster_size=512", "-b", "base", "-F", "raw", "-u"},
		{"-o", "cluster_size=16k,extended_l2=on"},
	} {
		path := filepath.Join(dir, "seed.qcow2")
		disktest.Img(t, append(append([]string{"create", "-q", "-f", "qcow2"}, args...), path, "64k")...)
		if args[len(args)-1] != "-u" {
			disktest.IO(t, "qcow2", path, "write -P 1 0 2k", "write -P 2 16k 1k")
			if args[1] != "cluster_size=16k,extended_l2=on" {
				disktest.IO(t, "qcow2", path, "write -c -P 2 8k 512")
			}
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

func FuzzHeader(f *testing.F) {
	for _, b := range seedImages(f) {
		f.Add(b[:min(len(b), 4096)], int64(len(b)))
	}
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		h, err := parseHeader(b, max(size, 0))
		if err != nil {
			return
		}
		if h.size < 0 || h.clusterBits < 9 || h.clusterBits > 21 || h.refOrder > 6 ||
			int64(h.l1Entries)*8 > max(size, 0) || int64(h.refTableClusters)<<h.clusterBits > max(size, 0) {
			t.Errorf("accepted %+v for a file of %d bytes", h, size)
		}
	})
}

func FuzzEntry(f *testing.F) {
	f.Add(uint64(flagCopied|0x50000), uint(16), uint32(3), int64(0x100000))
	f.Add(uint64(flagCompressed|1<<61|0x12345), uint(9), uint32(2), int64(0x100000))
	f.Add(uint64(1), uint(16), uint32(3), int64(0x100000))
	f.Fuzz(func(t *testing.T, e uint64, bits uint, version uint32, end int64) {
		g := geometry{9 + bits%13, 2 + version%2}
		cs := int64(1) << g.clusterBits
		end = roundUp(max(end, 0)&(1<<56-1), cs)
		if m, err := g.decode(e, end); err == nil {
			if m.off < 0 || m.off != 0 && (m.off < cs || m.off >= end) || m.length < 0 || int64(m.length) > 2*cs {
				t.Errorf("%#x is accepted as %+v of %d bytes", e, m, end)
			}
			if m.kind == data && m.off+cs > end {
				t.Errorf("%#x reaches beyond %d", e, end)
			}
		}
		if off, err := g.tableOffset(e, end); err == nil && off != 0 && (off < cs || off+cs > end) {
			t.Errorf("L1 entry %#x is accepted as %d of %d bytes", e, off, end)
		}
	})
}

// FuzzImage changes an image and uses it: nothing may hang, crash, or allocate what a
// number in the image asks for.
func FuzzImage(f *testing.F) {
	seeds := seedImages(f)
	f.Add(0, uint32(40), uint64(0x600), uint32(1<<10), uint64(1<<63|0x200))
	for i := range seeds {
		f.Add(i, uint32(24), uint64(1<<40), uint32(0x400), uint64(flagCompressed))
	}
	f.Fuzz(func(t *testing.T, seed int, at1 uint32, v1 uint64, at2 uint32, v2 uint64) {
		b := bytes.Clone(seeds[uint(seed)%uint(len(seeds))])
		for _, c := range []struct {
			at uint32
			v  uint64
		}{{at1, v1}, {at2, v2}} {
			if n := len(b) - 8; n > 0 {
				binary.BigEndian.PutUint64(b[int(c.at)%n:], c.v)
			}
		}
		im, err := Open(&memFile{b: b, limit: 4 << 20}, Options{Cache: 4096})
		if err != nil {
			return
		}
		defer im.Close()
		size := min(im.Size(), 64<<10)
		p := make([]byte, 4096)
		for off := int64(0); off+4096 <= size; off += 4096 {
			im.ReadAt(p, off)
		}
		for off := int64(512); off+4096 <= size; off += 8192 {
			im.WriteAt(p, off)
		}
		im.Discard(0, size/2)
		im.Flush()
	})
}

// An image that QEMU has just made, with one thing wrong.
func TestOpenRefuses(t *testing.T) {
	good := seedImages(t)[1]
	for _, tt := range []struct {
		name     string
		readOnly bool
		at       int
		b        []byte
		want     error
		text     string
	}{
		{"no magic", false, 0, []byte{0}, nil, "magic"},
		{"version 4", false, 7, []byte{4}, errors.ErrUnsupported, "version 4"},
		{"encryption", false, 35, []byte{2}, errors.ErrUnsupported, "encrypted"},
		{"external data", false, 79, []byte{4}, errors.ErrUnsupported, "external data file"},
		{"extended entries", false, 79, []byte{16}, errors.ErrUnsupported, "extended L2 entries"},
		{"a feature of tomorrow", false, 72, []byte{0x80}, errors.ErrUnsupported, "feature 63"},
		{"a dirty image", false, 79, []byte{1}, ErrCorrupt, "not closed cleanly"},
		{"a corrupt image", false, 79, []byte{2}, ErrCorrupt, "qemu-img check"},
		{"a corrupt image, to read", true, 79, []byte{2}, nil, ""},
		{"a dirty image, to read", true, 79, []byte{1}, nil, ""},
		{"tiny clusters", false, 23, []byte{8}, ErrCorrupt, "2^8"},
		{"huge clusters", false, 23, []byte{22}, ErrCorrupt, "2^22"},
		{"a huge L1 table", false, 36, []byte{0x7f}, ErrCorrupt, "L1 table"},
		{"an L1 table that is too short", false, 26, []byte{1}, ErrCorrupt, "which needs"},
		{"an L1 table beyond the end", false, 42, []byte{1}, ErrCorrupt, "the L1 table"},
		{"no counts", false, 56, []byte{0, 0, 0, 0}, ErrCorrupt, "reference count table"},
		{"a name beyond the first cluster", false, 8, []byte{0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 9}, ErrCorrupt, "name"},
		{"counts of 128 bits", false, 99, []byte{7}, ErrCorrupt, "2^7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := bytes.Clone(good)
			copy(b[tt.at:], tt.b)
			_, err := Open(&memFile{b: b}, Options{ReadOnly: tt.readOnly})
			switch {
			case tt.text == "" && err != nil:
				t.Errorf("Open = %v", err)
			case tt.text != "" && (err == nil || !bytes.Contains([]byte(err.Error()), []byte(tt.text))):
				t.Errorf("Open = %v, want an error with %q", err, tt.text)
			case tt.want != nil && !errors.Is(err, tt.want):
				t.Errorf("Open = %v, want %v", err, tt.want)
			}
		})
	}
}
