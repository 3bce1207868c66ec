package vhd

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"goxl/blkback/disk/disktest"
)

func seed(t testing.TB, options string) []byte {
	t.Helper()
	disktest.Need(t)
	path := filepath.Join(disktest.Dir(t), "seed.vhd")
	disktest.Img(t, "create", "-q", "-f", "vpc", "-o", options, path, "100k")
	disktest.IO(t, "vpc", path, "write -P 1 0 4k")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sum(b []byte, at int) {
	clear(b[at : at+4])
	var n uint32
	for _, c := range b {
		n += uint32(c)
	}
	binary.BigEndian.PutUint32(b[at:], ^n)
}

// FuzzImage changes the footer and the header of an image, with sums that hold, and
// reads it: nothing may crash, hang or allocate what a number asks for.
func FuzzImage(f *testing.F) {
	images := [][]byte{seed(f, "subformat=dynamic"), seed(f, "subformat=fixed")}
	f.Add(0, uint16(63), []byte{4}, uint16(28), []byte{0, 0, 0, 1})
	f.Add(0, uint16(48), []byte{0, 0, 1}, uint16(32), []byte{0, 0, 2, 0})
	f.Add(1, uint16(48), []byte{0xff}, uint16(16), []byte{0})
	f.Fuzz(func(t *testing.T, which int, at1 uint16, p1 []byte, at2 uint16, p2 []byte) {
		b := bytes.Clone(images[uint(which)%2])
		foot := b[len(b)-footerSize:]
		copy(foot[at1%footerSize:], p1)
		sum(foot, 64)
		head := b[footerSize:][:headerSize]
		copy(head[at2%headerSize:], p2)
		sum(head, 36)
		im, err := Open(bytes.NewReader(b), int64(len(b)), func([]string, [16]byte) (Parent, error) {
			return nil, os.ErrNotExist
		})
		if err != nil {
			return
		}
		p := make([]byte, 4096)
		for off := int64(0); off+4096 <= min(im.Size(), 1<<20); off += 4096 {
			im.ReadAt(p, off)
		}
		im.ReadAt(p[:min(im.Size(), 4096)], im.Size()-min(im.Size(), 4096))
	})
}

func TestOpenRefuses(t *testing.T) {
	good := seed(t, "subformat=dynamic")
	for _, tt := range []struct {
		name   string
		change func(foot, head []byte)
	}{
		{"no footer", func(f, _ []byte) { f[0] = 'x' }},
		{"version 2", func(f, _ []byte) { f[13] = 2 }},
		{"a kind that is none", func(f, _ []byte) { f[63] = 7 }},
		{"a huge disk", func(f, _ []byte) { f[48] = 1 }},
		{"a header beyond the end", func(f, _ []byte) { f[19] = 1 }},
		{"no header", func(_, h []byte) { h[0] = 'x' }},
		{"blocks of no power of two", func(_, h []byte) { h[35] = 3 }},
		{"a table that is too short", func(_, h []byte) { copy(h[28:], []byte{0, 0, 0, 0}) }},
		{"a huge table", func(_, h []byte) { h[28] = 0x7f }},
		{"a table beyond the end", func(_, h []byte) { h[19] = 1 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := bytes.Clone(good)
			foot, head := b[len(b)-footerSize:], b[footerSize:][:headerSize]
			tt.change(foot, head)
			sum(foot, 64)
			sum(head, 36)
			if _, err := Open(bytes.NewReader(b), int64(len(b)), nil); err == nil {
				t.Error("it was opened")
			}
		})
	}
	b := bytes.Clone(good)
	b[len(b)-1]++ // the sum does not hold
	if _, err := Open(bytes.NewReader(b), int64(len(b)), nil); err == nil {
		t.Error("a wrong checksum was accepted")
	}
}
