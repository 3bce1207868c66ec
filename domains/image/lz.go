package image

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"io"

	lzo "github.com/anchore/go-lzo"
	"github.com/pierrec/lz4/v4"
)

// lz4Legacy is what the legacy frame's blocks unpack to at most.
const lz4Legacy = 8 << 20

// unlz4 unpacks the legacy frame: a magic, then blocks of {u32 length, bytes},
// where the magic may come again between blocks. The library reads this frame
// too, but takes the size that Linux appends for another block.
func unlz4(b []byte, limit int64) ([]byte, error) {
	le := binary.LittleEndian
	out := make([]byte, 0, sizeHint(b, limit))
	b = trimSize(b)
	for len(b) >= 4 {
		n := le.Uint32(b)
		b = b[4:]
		if n == le.Uint32(magicLZ4) {
			continue
		}
		if n == 0 || uint64(n) > uint64(len(b)) {
			return nil, fmt.Errorf("block of %d bytes where %d are left", n, len(b))
		}
		room := min(lz4Legacy, limit-int64(len(out)))
		if room <= 0 {
			return nil, tooBig("what comes out", limit)
		}
		out = grow(out, int(room))
		got, err := lz4.UncompressBlock(b[:n], out[len(out):len(out)+int(room)])
		if err != nil {
			return nil, err
		}
		out = out[:len(out)+got]
		b = b[n:]
	}
	return out, nil
}

// Flags and bounds of an lzop file. Source: lzop's conf.h.
const (
	lzopAdlerOut  = 1 << 0
	lzopAdlerIn   = 1 << 1
	lzopExtra     = 1 << 6
	lzopCRCOut    = 1 << 8
	lzopCRCIn     = 1 << 9
	lzopFilter    = 1 << 11
	lzopMaxBlock  = 64 << 20
	lzopFilterVer = 0x0940 // from here on the header names the version needed
)

var errLZOShort = errors.New("lzop file cut short")

// lzop walks an lzop file, whose numbers are big-endian.
type lzop struct {
	b     []byte
	flags uint32
}

func (z *lzop) skip(n int) error {
	if n > len(z.b) {
		return errLZOShort
	}
	z.b = z.b[n:]
	return nil
}

func (z *lzop) u32() (uint32, error) {
	if len(z.b) < 4 {
		return 0, errLZOShort
	}
	v := binary.BigEndian.Uint32(z.b)
	z.b = z.b[4:]
	return v, nil
}

func unlzo(b []byte, limit int64) ([]byte, error) {
	z := &lzop{b: b}
	if err := z.header(); err != nil {
		return nil, err
	}
	out := make([]byte, 0, sizeHint(b, limit))
	for {
		n, err := z.u32()
		if err != nil || n == 0 {
			return out, err
		}
		if n > lzopMaxBlock {
			return nil, fmt.Errorf("lzop block of %d bytes", n)
		}
		if int64(len(out))+int64(n) > limit {
			return nil, tooBig("what comes out", limit)
		}
		out = grow(out, int(n))
		block := out[len(out) : len(out)+int(n)]
		if err := z.block(block); err != nil {
			return nil, err
		}
		out = out[:len(out)+int(n)]
	}
}

// header skips to the first block: magic, version, library version, needed
// version, method, level, flags, filter, mode, two times, name, checksum.
func (z *lzop) header() error {
	if len(z.b) < len(magicLZO)+2 {
		return errLZOShort
	}
	version := binary.BigEndian.Uint16(z.b[len(magicLZO):])
	skip := len(magicLZO) + 2 + 2 + 1 // magic, version, library version, method
	if version >= lzopFilterVer {
		skip += 2 + 1 // needed version, level
	}
	if err := z.skip(skip); err != nil {
		return err
	}
	flags, err := z.u32()
	if err != nil {
		return err
	}
	z.flags = flags
	if flags&lzopFilter != 0 {
		return errors.New("lzop file with a filter, which Linux never makes")
	}
	if flags&lzopExtra != 0 {
		return errors.New("lzop file with an extra field, which Linux never makes")
	}
	rest := 4 + 4 // mode, time
	if version >= lzopFilterVer {
		rest += 4 // upper half of the time
	}
	if err := z.skip(rest); err != nil {
		return err
	}
	if len(z.b) == 0 {
		return errLZOShort
	}
	return z.skip(1 + int(z.b[0]) + 4) // name, header checksum
}

// block unpacks one block, which fills dst, and checks it.
func (z *lzop) block(dst []byte) error {
	packed, err := z.u32()
	if err != nil {
		return err
	}
	var sum uint32
	if z.flags&lzopAdlerOut != 0 {
		if sum, err = z.u32(); err != nil {
			return err
		}
	}
	skip := 0
	if z.flags&lzopCRCOut != 0 {
		skip += 4
	}
	if int(packed) < len(dst) { // sums of the packed bytes: only when packing helped
		if z.flags&lzopAdlerIn != 0 {
			skip += 4
		}
		if z.flags&lzopCRCIn != 0 {
			skip += 4
		}
	}
	if err := z.skip(skip); err != nil {
		return err
	}
	if int64(packed) > int64(len(z.b)) || int(packed) > len(dst) {
		return errLZOShort
	}
	src := z.b[:packed]
	z.b = z.b[packed:]
	if int(packed) == len(dst) {
		copy(dst, src)
	} else if n, err := lzo.Decompress(src, dst); err != nil {
		return err
	} else if n != len(dst) {
		return io.ErrUnexpectedEOF
	}
	if z.flags&lzopAdlerOut != 0 && adler32.Checksum(dst) != sum {
		return errors.New("lzop block with a wrong checksum")
	}
	return nil
}

// grow returns b with room for n more bytes.
func grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	g := make([]byte, len(b), max(2*cap(b), len(b)+n))
	copy(g, b)
	return g
}
