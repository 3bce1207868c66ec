package vhdx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Image is an open image. It may be read by many goroutines at once.
type Image struct {
	r       io.ReaderAt
	patches []patch // of the tables, from the log

	bat      region
	size     int64 // of the disk
	block    int64
	sector   int
	perChunk int64 // blocks between two entries of the block table that are for bitmaps
	fileSize int64
}

// Open reads the tables of the image in r, of fileSize bytes. The image does not own
// r.
func Open(r io.ReaderAt, fileSize int64) (*Image, error) {
	im := &Image{r: r, fileSize: fileSize}
	var magic [8]byte
	if _, err := r.ReadAt(magic[:], 0); err != nil || string(magic[:]) != "vhdxfile" {
		return nil, errors.New("not a VHDX image: it lacks the signature")
	}
	h, err := im.readHeader()
	if err != nil {
		return nil, err
	}
	if err := im.readLog(h, fileSize); err != nil {
		return nil, err
	}
	metadata, err := im.readRegions(fileSize)
	if err != nil {
		return nil, err
	}
	return im, im.readMetadata(metadata)
}

// readHeader reads the newer of the two headers.
func (im *Image) readHeader() (*header, error) {
	var newest *header
	var errs []error
	for _, at := range []int64{64 << 10, 128 << 10} {
		b := make([]byte, headerSize)
		if _, err := im.r.ReadAt(b, at); err != nil {
			errs = append(errs, err)
			continue
		}
		h, err := parseHeader(b)
		if err != nil {
			errs = append(errs, err)
		} else if newest == nil || h.sequence > newest.sequence {
			newest = h
		}
	}
	if newest == nil {
		return nil, errors.Join(errs...)
	}
	return newest, nil
}

// readRegions reads the first of the two region tables that is whole.
func (im *Image) readRegions(fileSize int64) (metadata region, err error) {
	for _, at := range []int64{192 << 10, 256 << 10} {
		b := make([]byte, regionSize)
		if err = im.readTable(b, at); err != nil {
			continue
		}
		if im.bat, metadata, err = parseRegions(b, fileSize); err == nil {
			return metadata, nil
		}
	}
	return metadata, err
}

// readTable reads a part of a table, with what the log has changed.
func (im *Image) readTable(b []byte, off int64) error {
	if _, err := im.r.ReadAt(b, off); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read %d bytes at %d: %w", len(b), off, err)
	}
	apply(im.patches, b, off)
	return nil
}

func (im *Image) readMetadata(r region) error {
	b := make([]byte, metadataSize)
	if err := im.readTable(b, r.off); err != nil {
		return err
	}
	items, err := parseItems(b, r.n)
	if err != nil {
		return err
	}
	get := func(id guid, n int64) []byte {
		b := make([]byte, 8)
		if it := items[id]; it.n < n {
			err = errors.Join(err, corrupt("it lacks a metadata item %x", id))
		} else {
			err = errors.Join(err, im.readTable(b[:n], r.off+it.off))
		}
		return b
	}
	le := binary.LittleEndian
	parameters, size, sector := get(itemParameters, 8), le.Uint64(get(itemSize, 8)), le.Uint32(get(itemSector, 4))
	if err != nil {
		return err
	}
	block := le.Uint32(parameters)
	if le.Uint32(parameters[4:])&2 != 0 {
		return fmt.Errorf("differencing VHDX images are not read: merge it into its parent: %w", errors.ErrUnsupported)
	}
	if block < mib || block > 256*mib || block&(block-1) != 0 {
		return corrupt("blocks of %d bytes", block)
	}
	if sector != 512 && sector != 4096 || size > maxSize || size%uint64(sector) != 0 {
		return corrupt("a disk of %d bytes in sectors of %d", size, sector)
	}
	im.size, im.block, im.sector = int64(size), int64(block), int(sector)
	im.perChunk = int64(sector) << 23 / im.block
	if n := (im.size + im.block - 1) / im.block; n > 0 && (im.entry(n-1)+1)*8 > im.bat.n {
		return corrupt("a block table of %d bytes for %d blocks", im.bat.n, n)
	}
	return nil
}

// entry is the index in the block table of a block: after each chunk stands an entry
// for its bitmap.
func (im *Image) entry(block int64) int64 { return block + block/im.perChunk }

// Size is the length of the disk in bytes.
func (im *Image) Size() int64 { return im.size }

// SectorSize is that of the disk, 512 or 4096.
func (im *Image) SectorSize() int { return im.sector }

// Close exists for symmetry.
func (im *Image) Close() error { return nil }

// words are for entries of the block table.
var words = sync.Pool{New: func() any { return new([8]byte) }}

// ReadAt fills p from byte off of the disk; the caller has checked the range.
func (im *Image) ReadAt(p []byte, off int64) (int, error) {
	w := words.Get().(*[8]byte)
	defer words.Put(w)
	done := 0
	for done < len(p) {
		at := off + int64(done)
		in := at % im.block
		n := int(min(int64(len(p)-done), im.block-in))
		if err := im.readTable(w[:], im.bat.off+im.entry(at/im.block)*8); err != nil {
			return done, err
		}
		e := binary.LittleEndian.Uint64(w[:])
		if err := im.readBlock(p[done:done+n], e, in); err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// readBlock fills p from byte in of the block of a table entry.
func (im *Image) readBlock(p []byte, e uint64, in int64) error {
	switch e & 7 {
	case blockFull:
		off := int64(e &^ (mib - 1))
		if off < mib || off > im.fileSize-im.block {
			return corrupt("a block at %d of a file of %d bytes", off, im.fileSize)
		}
		if _, err := im.r.ReadAt(p, off+in); err != nil {
			return fmt.Errorf("read the block at %d: %w", off, err)
		}
		return nil
	case blockPartial:
		return corrupt("a block that is shared with a parent that the image does not have")
	}
	clear(p)
	return nil
}
