package build

import (
	"context"
	"fmt"
	"io"

	"goxl/domains/image"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// mapBatch is how many pages are mapped at once: 16 MiB, so that mapping costs
// little and a cancelled build stops soon.
const mapBatch = 4096

// guest is the memory of the domain that is built, by the guest's own page
// numbers. Nothing stays mapped between calls.
type guest struct {
	h   *xenctrl.Handle
	dom abi.DomID
	p2m []abi.MFN // PV; nil: Xen translates
}

// frame is what Xen knows page p as.
func (g *guest) frame(p abi.PFN) abi.GFN {
	if g.p2m == nil {
		return abi.GFN(p)
	}
	return abi.GFN(g.p2m[p])
}

// mfn is the machine frame of page p of a PV guest.
func (g *guest) mfn(p abi.PFN) abi.MFN { return g.p2m[p] }

// each maps a run of pages, batch by batch, and calls fn with the first page of
// the batch and its memory. ctx is looked at between batches.
func (g *guest) each(ctx context.Context, first abi.PFN, n abi.Pages, fn func(p abi.PFN, b []byte) error) error {
	for n > 0 {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		count := min(n, mapBatch)
		frames := make([]abi.GFN, count)
		for i := range frames {
			frames[i] = g.frame(first + abi.PFN(i))
		}
		m, err := g.h.MapForeign(g.dom, frames, xenctrl.ProtReadWrite)
		if err != nil {
			return err
		}
		err = m.With(func(b []byte) error { return fn(first, b) })
		if cerr := m.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return err
		}
		first, n = first+abi.PFN(count), n-count
	}
	return nil
}

// page calls fn with the memory of one page.
func (g *guest) page(ctx context.Context, p abi.PFN, fn func(b []byte)) error {
	return g.each(ctx, p, 1, func(_ abi.PFN, b []byte) error { fn(b); return nil })
}

// put fills an area with data, and with zeroes up to the end of its last page.
func (g *guest) put(ctx context.Context, a area, data []byte) error {
	return g.each(ctx, a.pfn, a.pages, func(p abi.PFN, b []byte) error {
		n := 0
		if off := uint64(p-a.pfn) << abi.PageShift; off < uint64(len(data)) {
			n = copy(b, data[off:])
		}
		clear(b[n:])
		return nil
	})
}

// putFile fills an area with a file, straight from the file to the guest.
func (g *guest) putFile(ctx context.Context, what string, a area, m Module) error {
	return g.each(ctx, a.pfn, a.pages, func(p abi.PFN, b []byte) error {
		off := int64(p-a.pfn) << abi.PageShift
		n := min(m.Size-off, int64(len(b)))
		if _, err := io.ReadFull(io.NewSectionReader(m.Data, off, n), b[:n]); err != nil {
			return fmt.Errorf("read %s: %w", what, err)
		}
		clear(b[n:])
		return nil
	})
}

// putSegments fills an area with a kernel. Address shift+page*4096 of the
// segments' address space is the area's page; what no segment has is zero.
func (g *guest) putSegments(ctx context.Context, a area, segs []image.Segment, shift uint64) error {
	return g.each(ctx, a.pfn, a.pages, func(p abi.PFN, b []byte) error {
		start := shift + uint64(p)<<abi.PageShift
		if !covered(segs, start, uint64(len(b))) {
			clear(b)
		}
		for i := range segs {
			if err := overlay(b, start, &segs[i]); err != nil {
				return fmt.Errorf("read kernel: %w", err)
			}
		}
		return nil
	})
}

// covered reports whether one segment's bytes fill n bytes from start on.
func covered(segs []image.Segment, start, n uint64) bool {
	for _, s := range segs {
		if s.Addr <= start && start-s.Addr <= s.FileSize && s.FileSize-(start-s.Addr) >= n {
			return true
		}
	}
	return false
}

// overlay reads what s has of the memory b, which lies at start.
func overlay(b []byte, start uint64, s *image.Segment) error {
	off := uint64(0) // in the segment
	switch {
	case s.Addr >= start:
		if s.Addr-start >= uint64(len(b)) {
			return nil
		}
		b = b[s.Addr-start:]
	default:
		off = start - s.Addr
	}
	if off >= s.FileSize {
		return nil
	}
	b = b[:min(uint64(len(b)), s.FileSize-off)]
	_, err := io.ReadFull(io.NewSectionReader(s, int64(off), int64(len(b))), b)
	return err
}
