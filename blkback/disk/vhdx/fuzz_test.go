package vhdx

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"goxl/blkback/disk/disktest"
)

// seed is an image as QEMU writes it, cut to what matters.
func seed(t testing.TB) []byte {
	t.Helper()
	disktest.Need(t)
	path := filepath.Join(disktest.Dir(t), "seed.vhdx")
	disktest.Img(t, "create", "-q", "-f", "vhdx", "-o", "block_size=1M", path, "2M")
	disktest.IO(t, "vhdx", path, "write -P 1 0 4k")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sum(b []byte) {
	clear(b[4:8])
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b, castagnoli))
}

// FuzzImage changes headers, regions, metadata, block table and log of an image, with
// checksums that hold, and reads it.
func FuzzImage(f *testing.F) {
	good := seed(f)
	f.Add(uint8(0), uint16(68), []byte{0, 0, 0x10, 0})
	f.Add(uint8(1), uint16(16), []byte{1})
	f.Add(uint8(2), uint16(10), []byte{0xff, 0x7})
	f.Add(uint8(3), uint16(0), []byte{6, 0, 0x70})
	f.Add(uint8(4), uint16(24), []byte{9})
	f.Fuzz(func(t *testing.T, part uint8, at uint16, p []byte) {
		b := bytes.Clone(good)
		bat, metadata, err := parseRegions(b[192<<10:], int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		starts := []int64{64 << 10, 192 << 10, metadata.off, bat.off, mib}
		start := starts[int(part)%len(starts)]
		copy(b[start+int64(at):], p)
		for _, h := range []int{64 << 10, 128 << 10} {
			sum(b[h : h+headerSize])
		}
		sum(b[192<<10 : 256<<10])
		if n := binary.LittleEndian.Uint32(b[mib+8:]); n >= 64 && n <= mib {
			sum(b[mib : mib+n])
		}
		im, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		q := make([]byte, 4096)
		for off := int64(0); off+4096 <= min(im.Size(), 8*mib); off += 256 << 10 {
			im.ReadAt(q, off)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	good := seed(t)
	_, metadata, err := parseRegions(good[192<<10:], int64(len(good)))
	if err != nil {
		t.Fatal(err)
	}
	items, err := parseItems(good[metadata.off:], metadata.n)
	if err != nil {
		t.Fatal(err)
	}
	parameters := int(metadata.off + items[itemParameters].off)
	size := int(metadata.off + items[itemSize].off)
	for name, change := range map[string]func(b []byte){
		"no signature":        func(b []byte) { b[0] = 'x' },
		"no headers":          func(b []byte) { b[64<<10+100]++; b[128<<10+100]++ },
		"no region tables":    func(b []byte) { b[192<<10+100]++; b[256<<10+100]++ },
		"no metadata":         func(b []byte) { b[metadata.off] = 'x' },
		"a parent":            func(b []byte) { b[parameters+4] |= 2 },
		"blocks of 512 bytes": func(b []byte) { copy(b[parameters:], []byte{0, 2, 0, 0}) },
		"a huge disk":         func(b []byte) { b[size+6] = 0xff },
		"a short block table": func(b []byte) { b[size+5] = 0x10 },
	} {
		t.Run(name, func(t *testing.T) {
			b := bytes.Clone(good)
			change(b)
			if _, err := Open(bytes.NewReader(b), int64(len(b))); err == nil {
				t.Error("it was opened")
			}
		})
	}
}

// FuzzReplay changes a log, with checksums that hold where an entry was.
func FuzzReplay(f *testing.F) {
	image := seed(f)
	good := image[mib:][:4*logSector]
	id := guid(good[32:48])
	if p, err := replay(bytes.Clone(good), id, 1<<40); err != nil || len(p) == 0 {
		f.Fatalf("the seed's log has %d patches, %v", len(p), err)
	}
	f.Add(uint16(8), []byte{0, 0x10}, uint16(64), []byte("zero"))
	f.Add(uint16(12), []byte{0, 0x20}, uint16(24), []byte{0xff, 0xff, 0xff})
	f.Add(uint16(0x2000), good[:4096], uint16(0x2010), []byte{2})
	f.Fuzz(func(t *testing.T, at1 uint16, p1 []byte, at2 uint16, p2 []byte) {
		b := bytes.Clone(good)
		copy(b[int(at1)%len(b):], p1)
		copy(b[int(at2)%len(b):], p2)
		for _, at := range []int{0, 2 * logSector} {
			if n := int(binary.LittleEndian.Uint32(b[at+8:])); n >= logHeader && n <= len(b)-at {
				sum(b[at : at+n])
			}
		}
		patches, err := replay(b, id, 1<<40)
		if err != nil {
			return
		}
		got := bytes.Repeat([]byte{1}, 3*logSector)
		apply(patches, got, 1000)
		for _, p := range patches {
			if p.off < 0 || p.n < 0 || p.off+p.n < p.off || p.data != nil && int64(len(p.data)) != p.n {
				t.Errorf("a patch of %d bytes at %d with %d", p.n, p.off, len(p.data))
			}
		}
	})
}
