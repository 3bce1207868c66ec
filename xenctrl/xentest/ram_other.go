//go:build !linux

package xentest

import (
	"errors"

	"goxl/xenctrl/abi"
)

// ram is the machine's memory; without memfd nothing of it can be mapped.
type ram struct {
	allocator
	all               []byte
	frames, m2pFrames uint64
}

func newRAM(pages abi.Pages) (*ram, error) {
	r := &ram{all: make([]byte, pages<<abi.PageShift)}
	r.layout(uint64(pages))
	return r, nil
}

func (r *ram) wipe(frames []uint64) {
	for _, f := range frames {
		clear(r.page(f))
	}
}

func (r *ram) view([]uint64, bool) ([]byte, error) { return nil, errors.ErrUnsupported }

func unmapView([]byte) error { return nil }

func (r *ram) close() {}
