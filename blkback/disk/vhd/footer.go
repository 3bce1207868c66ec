package vhd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"
)

// Kind is the disk type of a footer.
type Kind uint32

// The kinds that there are.
const (
	Fixed        Kind = 2
	Dynamic      Kind = 3
	Differencing Kind = 4
)

const (
	footerSize = 512
	headerSize = 1024
	sector     = 512
	absent     = 0xffffffff // a BAT entry without a block

	maxSize    = 64 << 40 // bytes of a disk; the format's own tools end at 2 TiB
	maxEntries = 4 << 20  // of the block table, 16 MiB
	maxBlock   = 256 << 20
)

// ErrCorrupt is an image whose content contradicts the format.
var ErrCorrupt = errors.New("the image is damaged")

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

// footer is the last sector of an image, and the first of all but fixed ones.
type footer struct {
	kind   Kind
	size   int64 // of the disk, bytes
	header int64 // offset of the dynamic header
	id     [16]byte
}

func parseFooter(b []byte) (*footer, error) {
	if len(b) < footerSize || string(b[:8]) != "conectix" {
		return nil, errors.New("not a VHD image: it lacks the footer")
	}
	be := binary.BigEndian
	if err := checkSum("footer", b[:footerSize], 64); err != nil {
		return nil, err
	}
	if v := be.Uint32(b[12:]); v>>16 != 1 {
		return nil, fmt.Errorf("VHD version %d.%d: %w", v>>16, v&0xffff, errors.ErrUnsupported)
	}
	f := &footer{kind: Kind(be.Uint32(b[60:])), id: [16]byte(b[68:84])}
	size := be.Uint64(b[48:])
	if size > maxSize || size%sector != 0 {
		return nil, corrupt("a disk of %d bytes", size)
	}
	f.size = int64(size)
	switch f.kind {
	case Fixed:
	case Dynamic, Differencing:
		at := be.Uint64(b[16:])
		if at > 1<<62 || at%sector != 0 {
			return nil, corrupt("a header at %d", at)
		}
		f.header = int64(at)
	default:
		return nil, fmt.Errorf("VHD disk type %d is not known: %w", f.kind, errors.ErrUnsupported)
	}
	return f, nil
}

// checkSum compares the sum at a place with that of all other bytes, inverted.
func checkSum(what string, b []byte, at int) error {
	var sum uint32
	for i, c := range b {
		if i < at || i >= at+4 {
			sum += uint32(c)
		}
	}
	if want := binary.BigEndian.Uint32(b[at:]); want != ^sum {
		return corrupt("the checksum of the %s is %#x and says %#x", what, ^sum, want)
	}
	return nil
}

// header is the dynamic disk header.
type header struct {
	table    int64 // offset of the block table
	entries  int
	block    int64 // bytes of the disk in one block
	parentID [16]byte
	name     string // of the parent
	locators []locator
}

// locator says where in the file one spelling of the parent's path stands.
type locator struct {
	code [4]byte
	off  int64
	n    int
}

const maxName = 4096 // bytes of one spelling

func parseHeader(b []byte) (*header, error) {
	if len(b) < headerSize || string(b[:8]) != "cxsparse" {
		return nil, corrupt("no dynamic disk header where the footer says it is")
	}
	if err := checkSum("header", b[:headerSize], 36); err != nil {
		return nil, err
	}
	be := binary.BigEndian
	table, entries, block := be.Uint64(b[16:]), be.Uint32(b[28:]), be.Uint32(b[32:])
	if table > 1<<62 || table%sector != 0 {
		return nil, corrupt("a block table at %d", table)
	}
	if entries > maxEntries {
		return nil, corrupt("a block table of %d entries", entries)
	}
	if block < sector || block > maxBlock || block&(block-1) != 0 {
		return nil, corrupt("blocks of %d bytes", block)
	}
	h := &header{table: int64(table), entries: int(entries), block: int64(block), parentID: [16]byte(b[40:56])}
	h.name = decodeUTF16(b[64:576], be)
	for l := b[576:768]; len(l) > 0; l = l[24:] {
		off, n := be.Uint64(l[16:]), be.Uint32(l[8:])
		if n == 0 || n > maxName || off > 1<<62 {
			continue // another may do
		}
		h.locators = append(h.locators, locator{[4]byte(l[:4]), int64(off), int(n)})
	}
	return h, nil
}

// decodeUTF16 is the text up to the first zero.
func decodeUTF16(b []byte, order binary.ByteOrder) string {
	var u []uint16
	for ; len(b) >= 2; b = b[2:] {
		c := order.Uint16(b)
		if c == 0 {
			break
		}
		u = append(u, c)
	}
	return string(utf16.Decode(u))
}
