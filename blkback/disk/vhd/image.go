package vhd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// Parent is the disk that a differencing image shows where it has no data itself.
type Parent interface {
	io.ReaderAt // never called for more than Size
	Size() int64
	Close() error
}

// Image is an open image. It may be read by many goroutines at once.
type Image struct {
	r      io.ReaderAt
	foot   *footer
	head   *header // nil: fixed
	blocks []uint32
	bitmap int64  // bytes before the data of a block
	parent Parent // nil: none
}

// OpenParent opens the parent that an image names, by the spellings that it has of
// its path, the most useful one first. They are as hostile as the image. id is the
// parent's unique id.
type OpenParent func(names []string, id [16]byte) (Parent, error)

// Open reads the tables of the image in r, of fileSize bytes. It needs open for a
// differencing image only. The image does not own r.
func Open(r io.ReaderAt, fileSize int64, open OpenParent) (*Image, error) {
	if fileSize < footerSize {
		return nil, errors.New("not a VHD image: it is too short")
	}
	var b [footerSize]byte
	// The copy at the start is there for an end that was cut off; a fixed image has
	// its disk there, which a guest may have made to look like one.
	if _, err := r.ReadAt(b[:], fileSize-footerSize); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the footer: %w", err)
	}
	foot, err := parseFooter(b[:])
	if err != nil {
		return nil, err
	}
	im := &Image{r: r, foot: foot}
	if foot.kind == Fixed {
		if foot.size > fileSize-footerSize {
			return nil, corrupt("a disk of %d bytes in a file of %d", foot.size, fileSize)
		}
		return im, nil
	}
	if err := im.readTables(fileSize); err != nil {
		return nil, err
	}
	if foot.kind == Differencing {
		if open == nil {
			return nil, errors.New("the image names a parent, and none is allowed")
		}
		im.parent, err = open(im.parentNames(), im.head.parentID)
	}
	if err != nil {
		return nil, err
	}
	return im, nil
}

func (im *Image) readTables(fileSize int64) error {
	b := make([]byte, headerSize)
	if _, err := im.r.ReadAt(b, im.foot.header); err != nil {
		return fmt.Errorf("read the header: %w", err)
	}
	h, err := parseHeader(b)
	if err != nil {
		return err
	}
	if need := (im.foot.size + h.block - 1) / h.block; need > int64(h.entries) {
		return corrupt("a block table of %d entries for %d blocks", h.entries, need)
	}
	if h.table > fileSize || int64(h.entries)*4 > fileSize-h.table {
		return corrupt("the block table lies beyond the end of the file")
	}
	b = make([]byte, h.entries*4)
	if _, err := im.r.ReadAt(b, h.table); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the block table: %w", err)
	}
	im.head, im.blocks = h, make([]uint32, h.entries)
	im.bitmap = (h.block/sector/8 + sector - 1) &^ (sector - 1)
	for i := range im.blocks {
		e := binary.BigEndian.Uint32(b[i*4:])
		if at := int64(e) * sector; e != absent && (at > fileSize || im.bitmap > fileSize-at) {
			return corrupt("block %d lies at %d of a file of %d bytes", i, at, fileSize)
		}
		im.blocks[i] = e
	}
	return nil
}

// parentNames are the spellings of the parent's path, with slashes: relative ones
// first. A path with a drive's letter is none of this host's.
func (im *Image) parentNames() []string {
	spell := func(code string) (names []string) {
		for _, l := range im.head.locators {
			b := make([]byte, l.n)
			if string(l.code[:]) != code {
				continue
			}
			if _, err := im.r.ReadAt(b, l.off); err != nil {
				continue
			}
			s := string(b)
			if code != "MacX" {
				s = strings.ReplaceAll(decodeUTF16(b, binary.LittleEndian), `\`, "/")
			}
			s, _, _ = strings.Cut(strings.TrimPrefix(s, "file://"), "\x00")
			names = append(names, s)
		}
		return names
	}
	names := append(append(spell("W2ru"), spell("MacX")...), spell("W2ku")...)
	if im.head.name != "" {
		names = append(names, strings.ReplaceAll(im.head.name, `\`, "/"))
	}
	return names
}

// Kind is the image's kind.
func (im *Image) Kind() Kind { return im.foot.kind }

// ID is the image's unique id, which its children name.
func (im *Image) ID() [16]byte { return im.foot.id }

// Size is the length of the disk in bytes.
func (im *Image) Size() int64 { return im.foot.size }

// Close closes the parent.
func (im *Image) Close() error {
	if im.parent == nil {
		return nil
	}
	return im.parent.Close()
}

// ReadAt fills p from byte off of the disk; the caller has checked the range.
func (im *Image) ReadAt(p []byte, off int64) (int, error) {
	if im.head == nil {
		return im.r.ReadAt(p, off)
	}
	done := 0
	for done < len(p) {
		at := off + int64(done)
		n := int(min(int64(len(p)-done), im.head.block-at%im.head.block))
		if err := im.readBlock(p[done:done+n], at); err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// readBlock fills p from within one block.
func (im *Image) readBlock(p []byte, off int64) error {
	e := im.blocks[off/im.head.block]
	if e == absent {
		return im.readParent(p, off)
	}
	start, in := int64(e)*sector, off%im.head.block
	for len(p) > 0 {
		present, n, err := im.run(start, in, len(p))
		if err != nil {
			return err
		}
		if present {
			if _, err := im.r.ReadAt(p[:n], start+im.bitmap+in); err != nil {
				return fmt.Errorf("read %d bytes of the block at %d: %w", n, start, err)
			}
		} else if err := im.readParent(p[:n], off); err != nil {
			return err
		}
		p, in, off = p[n:], in+int64(n), off+int64(n)
	}
	return nil
}

// bitmaps are for pieces of bitmaps.
var bitmaps = sync.Pool{New: func() any { return new([512]byte) }}

// run says whether the block at start has data at byte in, and for how many bytes
// from there on, of at most n, the same is so.
func (im *Image) run(start, in int64, n int) (present bool, length int, err error) {
	b := bitmaps.Get().(*[512]byte)
	defer bitmaps.Put(b)
	first := in / sector
	last := (in + int64(n) - 1) / sector
	// Bits start at the most significant one; a buffer holds those of 2 MiB.
	last = min(last, first&^7+int64(len(b))*8-1)
	m := b[:last/8-first/8+1]
	if _, err := im.r.ReadAt(m, start+first/8); err != nil {
		return false, 0, fmt.Errorf("read the bitmap of the block at %d: %w", start, err)
	}
	base := first &^ 7
	bit := func(i int64) bool { return m[(i-base)/8]&(0x80>>(i%8)) != 0 }
	present = bit(first)
	i := first + 1
	for i <= last && bit(i) == present {
		i++
	}
	return present, int(min(i*sector-in, int64(n))), nil
}

// readParent fills p from the parent: zeroes where there is none or it has ended.
func (im *Image) readParent(p []byte, off int64) error {
	n := int64(0)
	if im.parent != nil {
		n = min(max(im.parent.Size()-off, 0), int64(len(p)))
	}
	clear(p[n:])
	if n == 0 {
		return nil
	}
	if got, err := im.parent.ReadAt(p[:n], off); err != nil && got < int(n) {
		return fmt.Errorf("read the parent: %w", err)
	}
	return nil
}
