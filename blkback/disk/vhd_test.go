package disk

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"goxl/blkback/disk/disktest"
)

// patchVHD changes the dynamic header or the footers of an image and sums them anew.
func patchVHD(t *testing.T, path string, change func(footer, header []byte, all []byte)) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	foot := b[len(b)-512:]
	head := b[512:1536]
	change(foot, head, b)
	for _, s := range []struct {
		b  []byte
		at int
	}{{foot, 64}, {head, 36}} {
		clear(s.b[s.at:][:4])
		var sum uint32
		for _, c := range s.b {
			sum += uint32(c)
		}
		binary.BigEndian.PutUint32(s.b[s.at:], ^sum)
	}
	copy(b, foot)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// readAll reads a disk in pieces of an odd length.
func readAll(t *testing.T, d Disk) []byte {
	t.Helper()
	b := make([]byte, d.Size())
	for off := 0; off < len(b); off += 100_001 {
		p := b[off:min(off+100_001, len(b))]
		if n, err := d.ReadAt(p, int64(off)); err != nil || n != len(p) {
			t.Fatalf("ReadAt(%d bytes, %d) = %d, %v", len(p), off, n, err)
		}
	}
	return b
}

func TestVHDDynamic(t *testing.T) {
	disktest.Need(t)
	dir := disktest.Dir(t)
	path := filepath.Join(dir, "disk.vhd")
	disktest.Img(t, "create", "-q", "-f", "vpc", path, "9M")
	disktest.IO(t, "vpc", path, "write -P 1 100k 300k", "write -P 2 3M 2560k", "write -P 3 7000k 512")
	d, info := mustOpen(t, path, Options{Format: VHD, ReadOnly: true})
	if info.Format != VHD || !info.ReadOnly {
		t.Errorf("info %+v", info)
	}
	if !bytes.Equal(readAll(t, d), disktest.Contents(t, dir, "vpc", path)) {
		t.Error("QEMU reads something else")
	}
	if _, err := d.WriteAt([]byte{1}, 0); !errors.Is(err, ErrReadOnly) {
		t.Errorf("WriteAt = %v", err)
	}
	if _, err := d.ReadAt(make([]byte, 1), d.Size()); !errors.Is(err, ErrRange) {
		t.Errorf("ReadAt at the end = %v", err)
	}
	d.Close()
	if _, _, err := Open(context.Background(), path, Options{Format: VHD}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Open for writing = %v", err)
	}
}

func TestVHDFixed(t *testing.T) {
	disktest.Need(t)
	dir := disktest.Dir(t)
	path := filepath.Join(dir, "disk.vhd")
	disktest.Img(t, "create", "-q", "-f", "vpc", "-o", "subformat=fixed,force_size=on", path, "3M")
	d, _ := mustOpen(t, path, Options{Format: VHD})
	if d.Size() != 3<<20 {
		t.Errorf("Size = %d", d.Size())
	}
	want := noise(1, 3<<20)
	if _, err := d.WriteAt(want, 0); err != nil {
		t.Fatal(err)
	}
	if err := d.Discard(1<<20, 8192); err != nil {
		t.Fatal(err)
	}
	clear(want[1<<20:][:8192])
	for _, err := range []error{second(d.WriteAt(make([]byte, 512), 3<<20)), d.Discard(3<<20, 512), second(d.ReadAt(make([]byte, 2), 3<<20-1))} {
		if !errors.Is(err, ErrRange) {
			t.Errorf("a request to the footer: %v", err)
		}
	}
	d.Close()
	if !bytes.Equal(disktest.Contents(t, dir, "vpc", path), want) {
		t.Error("QEMU reads something else")
	}
}

func second[A any](_ A, err error) error { return err }

// QEMU makes no differencing images: this one is a dynamic one, told that it has a
// parent.
func TestVHDDifferencing(t *testing.T) {
	disktest.Need(t)
	dir := disktest.Dir(t)
	parent, child := filepath.Join(dir, "parent.vhd"), filepath.Join(dir, "child.vhd")
	for _, p := range []string{parent, child} {
		disktest.Img(t, "create", "-q", "-f", "vpc", p, "5M")
	}
	disktest.IO(t, "vpc", parent, "write -P 1 0 5M")
	disktest.IO(t, "vpc", child, "write -P 2 2M 64k")
	var id []byte
	patchVHD(t, parent, func(f, _, _ []byte) { id = bytes.Clone(f[68:84]) })
	name := []byte{}
	for _, c := range utf16.Encode([]rune(`.\parent.vhd`)) {
		name = binary.LittleEndian.AppendUint16(name, c)
	}
	adopt := func(id []byte) {
		patchVHD(t, child, func(f, h, all []byte) {
			binary.BigEndian.PutUint32(f[60:], 4)
			copy(h[40:], id)
			copy(h[576:], "W2ru")
			at := 1024 + 512 - 256 // reserved bytes of the header
			binary.BigEndian.PutUint32(h[584:], uint32(len(name)))
			binary.BigEndian.PutUint64(h[592:], uint64(at))
			copy(all[at:], name)
			// Of the one block, sectors 3 to 12 are the child's.
			block := int(binary.BigEndian.Uint32(all[binary.BigEndian.Uint64(h[16:])+4:])) * 512
			clear(all[block : block+512])
			all[block], all[block+1] = 0x1f, 0xf8
		})
	}
	adopt(id)
	o := Options{Format: VHD, ReadOnly: true, Backing: Backing{Dirs: []string{dir}}}
	d, _ := mustOpen(t, child, o)
	want := bytes.Repeat([]byte{1}, 5<<20)
	want = append(want, make([]byte, int(d.Size())-len(want))...)
	copy(want[2<<20+3*512:], bytes.Repeat([]byte{2}, 10*512))
	if !bytes.Equal(readAll(t, d), want) {
		t.Error("parent and child are not put together as the bitmap says")
	}
	if _, _, err := Open(context.Background(), child, Options{Format: VHD, ReadOnly: true}); !errors.Is(err, ErrBacking) {
		t.Errorf("Open without leave to follow the parent = %v", err)
	}
	adopt(make([]byte, 16))
	if _, _, err := Open(context.Background(), child, o); err == nil || !strings.Contains(err.Error(), "is not the parent") {
		t.Errorf("Open with another parent = %v", err)
	}
}
