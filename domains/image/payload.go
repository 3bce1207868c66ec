package image

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"
	"github.com/ulikunitz/xz/lzma"
)

// The first bytes of what may be in a kernel file.
var (
	magicELF   = []byte("\x7fELF")
	magicGzip  = []byte{0x1f, 0x8b}
	magicBzip2 = []byte("BZh")
	magicXZ    = []byte("\xfd7zXZ\x00")
	magicZstd  = []byte{0x28, 0xb5, 0x2f, 0xfd}
	magicLZMA  = []byte{0x5d, 0x00}
	magicLZO   = []byte("\x89LZO\x00\r\n\x1a\n")
	magicLZ4   = []byte{0x02, 0x21, 0x4c, 0x18}
)

// unpackFunc unpacks a payload into at most limit bytes.
type unpackFunc func(payload []byte, limit int64) ([]byte, error)

func payloadFormat(b []byte) (string, unpackFunc) {
	for _, f := range []struct {
		magic []byte
		name  string
		fn    unpackFunc
	}{
		{magicGzip, "gzip", inflate},
		{magicBzip2, "bzip2", unbzip2},
		{magicXZ, "xz", unxz},
		{magicZstd, "zstd", unzstd},
		{magicLZMA, "lzma", unlzma},
		{magicLZO, "lzo", unlzo},
		{magicLZ4, "lz4", unlz4},
	} {
		if bytes.HasPrefix(b, f.magic) {
			return f.name, f.fn
		}
	}
	return "", nil
}

// guarded runs a decompressor on hostile bytes. A panic in there, an index out
// of range say, is a defect of that library and must not end the toolstack:
// it becomes an error.
func guarded(fn unpackFunc, payload []byte, limit int64) (out []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = nil, fmt.Errorf("decompressor gave up: %v", p)
		}
	}()
	return fn(payload, limit)
}

func inflate(b []byte, limit int64) ([]byte, error) {
	zr, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	zr.Multistream(false) // what follows the stream is not ours
	return readCapped(zr, b, limit)
}

func unbzip2(b []byte, limit int64) ([]byte, error) {
	// bzip2 takes what follows for a second stream and stumbles over the size
	// that Linux puts there: what was unpacked by then is whole.
	return readCapped(bzip2.NewReader(bytes.NewReader(trimSize(b))), b, limit)
}

func unxz(b []byte, limit int64) ([]byte, error) {
	zr, err := xz.NewReader(bytes.NewReader(b), uint32(min(limit, xz.DefaultDictMax)))
	if err != nil {
		return nil, err
	}
	zr.Multistream(false)
	return readCapped(zr, b, limit)
}

func unzstd(b []byte, limit int64) ([]byte, error) {
	zr, err := zstd.NewReader(bytes.NewReader(trimSize(b)), zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxMemory(uint64(limit)), zstd.WithDecoderMaxWindow(zstdWindow))
	if err != nil {
		return nil, err
	}
	defer zr.Close()
	return readCapped(zr, b, limit)
}

// zstdWindow is the largest window that Linux's own packing asks for
// (zstd --ultra -22): 128 MiB.
const zstdWindow = 128 << 20

func unlzma(b []byte, limit int64) ([]byte, error) {
	if len(b) < 13 {
		return nil, io.ErrUnexpectedEOF
	}
	if dict := binary.LittleEndian.Uint32(b[1:]); int64(dict) > limit {
		return nil, tooBig("the lzma dictionary", limit)
	}
	zr, err := lzma.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return readCapped(zr, b, limit)
}

// trimSize cuts the unpacked size, four bytes, that Linux's build appends to
// every payload but gzip's, which ends with it by itself.
func trimSize(b []byte) []byte { return b[:max(0, len(b)-4)] }

// readCapped reads r to its end, but at most limit bytes. The last four bytes
// of the payload name the size in every format: a hint where to start, nothing
// more.
func readCapped(r io.Reader, payload []byte, limit int64) ([]byte, error) {
	buf := make([]byte, 0, sizeHint(payload, limit))
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) > limit:
			return nil, tooBig("what comes out", limit)
		case err == io.EOF:
			return buf, nil
		case err != nil:
			return nil, err
		}
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), min(int64(cap(buf))*2, limit+1))
			copy(grown, buf)
			buf = grown
		}
	}
}

// sizeHint is the size that the payload claims, made harmless: no more than
// the limit, nor than twenty times the payload.
func sizeHint(payload []byte, limit int64) int64 {
	if len(payload) < 4 {
		return 4096
	}
	claim := int64(binary.LittleEndian.Uint32(payload[len(payload)-4:]))
	return max(4096, min(claim+1, limit+1, int64(len(payload))*20))
}
