package vhdx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

const (
	headerSize   = 4 << 10
	regionSize   = 64 << 10
	metadataSize = 64 << 10 // of the table; the items lie behind it
	mib          = 1 << 20

	maxSize = 64 << 40
	maxLog  = 64 << 20 // of a log that is not empty
)

// ErrCorrupt is an image whose content contradicts the format.
var ErrCorrupt = errors.New("the image is damaged")

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

type guid [16]byte

// The GUIDs of regions and metadata items, as they lie in the file.
var (
	regionBAT      = guid{0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42, 0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08}
	regionMetadata = guid{0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b, 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e}
	itemParameters = guid{0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d, 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b}
	itemSize       = guid{0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48, 0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8}
	itemSector     = guid{0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47, 0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f}
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumHolds checks the CRC-32C at byte 4, which counts as zeroes.
func sumHolds(b []byte) bool {
	sum := crc32.Update(0, castagnoli, b[:4])
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))
	return crc32.Update(sum, castagnoli, b[8:]) == binary.LittleEndian.Uint32(b[4:])
}

// header is one of the two headers.
type header struct {
	sequence  uint64
	log       guid // zero: there is none to replay
	logOff    int64
	logLength int64
}

func parseHeader(b []byte) (*header, error) {
	le := binary.LittleEndian
	if len(b) < headerSize || string(b[:4]) != "head" || !sumHolds(b[:headerSize]) {
		return nil, corrupt("no header that its checksum vouches for")
	}
	if v := le.Uint16(b[66:]); v != 1 {
		return nil, fmt.Errorf("VHDX version %d: %w", v, errors.ErrUnsupported)
	}
	h := &header{sequence: le.Uint64(b[8:]), log: guid(b[48:64])}
	if h.log == (guid{}) {
		return h, nil
	}
	off, n := le.Uint64(b[72:]), le.Uint32(b[68:])
	if v := le.Uint16(b[64:]); v != 0 {
		return nil, fmt.Errorf("VHDX log version %d: %w", v, errors.ErrUnsupported)
	}
	if off < mib || off > 1<<62 || off%mib != 0 || n == 0 || n%mib != 0 {
		return nil, corrupt("a log of %d bytes at %d", n, off)
	}
	if n > maxLog {
		return nil, fmt.Errorf("the log of %d bytes is not empty, and larger than this program reads: open the image with its own tools once: %w", n, errors.ErrUnsupported)
	}
	h.logOff, h.logLength = int64(off), int64(n)
	return h, nil
}

// region is a part of the file.
type region struct {
	off int64
	n   int64
}

// parseRegions finds the block table and the metadata.
func parseRegions(b []byte, fileSize int64) (bat, metadata region, err error) {
	le := binary.LittleEndian
	if len(b) < regionSize || string(b[:4]) != "regi" || !sumHolds(b[:regionSize]) {
		return bat, metadata, corrupt("no region table that its checksum vouches for")
	}
	n := le.Uint32(b[8:])
	if n > 2047 {
		return bat, metadata, corrupt("%d regions", n)
	}
	for e := b[16:][:n*32]; len(e) > 0; e = e[32:] {
		off, length := le.Uint64(e[16:]), le.Uint32(e[24:])
		id := guid(e[:16])
		known := id == regionBAT || id == regionMetadata
		if !known && le.Uint32(e[28:])&1 == 0 {
			continue
		}
		if !known {
			return bat, metadata, fmt.Errorf("the image needs a region %x: %w", id, errors.ErrUnsupported)
		}
		if off < mib || off%mib != 0 || off > uint64(fileSize) || int64(length) > fileSize-int64(off) {
			return bat, metadata, corrupt("a region of %d bytes at %d of a file of %d", length, off, fileSize)
		}
		if r := (region{int64(off), int64(length)}); id == regionBAT {
			bat = r
		} else {
			metadata = r
		}
	}
	if bat.n == 0 || metadata.n < metadataSize {
		return bat, metadata, corrupt("it lacks a region")
	}
	return bat, metadata, nil
}

// item is where a metadata item lies in its region.
type item struct{ off, n int64 }

func parseItems(b []byte, regionSize int64) (map[guid]item, error) {
	le := binary.LittleEndian
	if len(b) < metadataSize || string(b[:8]) != "metadata" {
		return nil, corrupt("no metadata table")
	}
	n := int(le.Uint16(b[10:]))
	if n > 2047 {
		return nil, corrupt("%d metadata items", n)
	}
	items := map[guid]item{}
	for e := b[32:][:n*32]; len(e) > 0; e = e[32:] {
		it := item{int64(le.Uint32(e[16:])), int64(le.Uint32(e[20:]))}
		if it.n > mib || it.off > regionSize || it.n > regionSize-it.off {
			return nil, corrupt("a metadata item of %d bytes at %d", it.n, it.off)
		}
		items[guid(e[:16])] = it
	}
	return items, nil
}

// The states of a block. Others have no data of their own.
const (
	blockFull    = 6
	blockPartial = 7
)
