package qcow2

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the memory that a zstd frame may ask for.
const maxWindow = 8 << 20

// inflated keeps the compressed cluster that was read last: small reads of one come
// one after the other.
type inflated struct {
	mu  sync.Mutex
	at  mapping // of what b holds
	b   []byte
	src []byte

	flate io.ReadCloser
	zstd  *zstd.Decoder
}

// readCompressed fills p from byte in of a compressed cluster.
func (im *Image) readCompressed(p []byte, m mapping, in int64) error {
	c := &im.inflated
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.b == nil || c.at != m {
		if c.b == nil {
			c.b = make([]byte, im.h.clusterSize())
			c.src = make([]byte, 2*im.h.clusterSize())
		}
		c.at = mapping{}
		if err := im.inflate(c, m); err != nil {
			return err
		}
		c.at = m
	}
	copy(p, c.b[in:])
	return nil
}

func (im *Image) inflate(c *inflated, m mapping) error {
	src := c.src[:m.length]
	// The last sector may reach beyond the file's end.
	if have := im.end.Load() - m.off; have < int64(len(src)) {
		src = src[:have]
	}
	if err := im.readFull(src, m.off); err != nil {
		return err
	}
	r, err := c.reader(bytes.NewReader(src), im.h.zstd)
	if err == nil {
		_, err = io.ReadFull(r, c.b)
	}
	if err != nil {
		return fmt.Errorf("%w: compressed cluster at %d: %w", ErrCorrupt, m.off, err)
	}
	return nil
}

// reader unpacks r, with the decoder of before if there is one.
func (c *inflated) reader(r io.Reader, isZstd bool) (io.Reader, error) {
	if !isZstd {
		if c.flate == nil {
			c.flate = flate.NewReader(r)
			return c.flate, nil
		}
		return c.flate, c.flate.(flate.Resetter).Reset(r, nil)
	}
	if c.zstd == nil {
		var err error
		c.zstd, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		return c.zstd, err
	}
	return c.zstd, c.zstd.Reset(r)
}
