package coredump

import (
	"context"
	"encoding/binary"
	"fmt"

	"goxl/domains/p2m"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// ErrNoP2M says that a PV guest did not tell where its table of frames is, so that
// nobody can know which page is which: it has not booted yet.
var ErrNoP2M = p2m.ErrNone

// maxPFNs is how many page numbers a guest may claim to have: 8 TiB.
const maxPFNs = 1 << 31

// table is a PV guest's own of which machine frame each of its pages is.
type table struct {
	h      *xenctrl.Handle
	id     abi.DomID
	size   uint64    // how many pfns it covers
	leaves []abi.GFN // the frames that hold it
	top    abi.MFN   // highest machine frame that is memory
}

// openTable finds the table. size is how many page numbers the guest says it has, and
// pages how many pages it has.
func openTable(h *xenctrl.Handle, id abi.DomID, sharedInfo []byte, size uint64, pages abi.Pages) (*table, error) {
	if size < uint64(pages) {
		return nil, fmt.Errorf("%w: it knows of %d pages and has %d", ErrNoP2M, size, pages)
	}
	if size > maxPFNs {
		return nil, fmt.Errorf("the guest claims to have %d page numbers, at most %d make sense", size, maxPFNs)
	}
	top, err := h.MaximumRAMPage()
	if err != nil {
		return nil, err
	}
	found, err := p2m.Find(h, id, sharedInfo, size)
	if err != nil {
		return nil, fmt.Errorf("the guest's table of frames: %w", err)
	}
	return &table{h, id, size, found.Leaves, top}, nil
}

// each calls found with every page that has a machine frame.
func (t *table) each(ctx context.Context, found func(page) error) error {
	for pfn := uint64(0); pfn < t.size; {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		part := t.leaves[pfn/p2m.PerPage:]
		part = part[:min(len(part), p2m.PerPage)]
		b, err := readPages(t.h, t.id, part)
		if err != nil {
			return fmt.Errorf("read the guest's table of frames from page %d on: %w", pfn, err)
		}
		for ; len(b) > 0 && pfn < t.size; b, pfn = b[8:], pfn+1 {
			f := binary.LittleEndian.Uint64(b)
			if f > uint64(t.top) { // none, or memory that is not the guest's own
				continue
			}
			if err := found(page{pfn, abi.GFN(f)}); err != nil {
				return err
			}
		}
	}
	return nil
}
