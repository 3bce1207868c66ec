package build

import (
	"context"
	"fmt"

	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// The orders of the pages that a processor has.
const (
	order2M = 9
	order1G = 18
)

// memRange is a run of the guest's pages that comes from one place.
type memRange struct {
	start, end abi.PFN
	vnode      int
	flags      uint32 // abi.MemfExactNode and node, or 0
}

// noMemory is the error for a domain that Xen gave less than was asked for.
func (b *builder) noMemory(what string, want abi.Pages, order uint) error {
	e := &MemoryError{What: what, Need: (want << order).KiB()}
	if info, err := b.h.PhysInfo(); err == nil {
		e.Free = abi.KiB(info.FreePages+info.ScrubPages) * 4
	}
	return e
}

// exactly populates single pages, all or none of which is good enough.
func (b *builder) exactly(ctx context.Context, what string, at []abi.PFN, flags uint32, out []abi.MFN) error {
	n, err := b.h.Populate(ctx, b.dom, at, 0, flags, out)
	if err != nil {
		return fmt.Errorf("allocate %s: %w", what, err)
	}
	if n < len(at) {
		return b.noMemory(what, abi.Pages(len(at)), 0)
	}
	return nil
}

// pages lists n page numbers from first on, step apart.
func pages(first abi.PFN, n int, step abi.PFN) []abi.PFN {
	list := make([]abi.PFN, n)
	for i := range list {
		list[i] = first + abi.PFN(i)*step
	}
	return list
}

// claim sets memory aside before it is taken bit by bit, so that two guests that
// start at once do not both fail half way. The function it returns gives back
// what was not used.
func (b *builder) claim(total abi.Pages) (release func() error, err error) {
	if !b.p.Claim {
		return func() error { return nil }, nil
	}
	if err := b.h.ClaimPages(b.dom, total); err != nil {
		return nil, err
	}
	return func() error { return b.h.ClaimPages(b.dom, 0) }, nil
}

// The batches that large allocations are cut into, in pages.
const (
	batch2M = 512     // extents of 2 MiB: 1 GiB
	batch4K = 1 << 16 // single pages: 256 MiB
)

// populatePV gives a PV guest its memory and notes which machine frames it got.
// Large extents are merely a faster way to get many pages.
func (b *builder) populatePV(ctx context.Context, r memRange) error {
	p := r.start
	for large := int(r.end-r.start) >> order2M; large > 0; {
		n := min(large, batch2M)
		out := make([]abi.MFN, n)
		got, err := b.h.Populate(ctx, b.dom, pages(p, n, 1<<order2M), order2M, r.flags, out)
		if err != nil {
			return fmt.Errorf("allocate memory: %w", err)
		}
		for _, m := range out[:got] {
			for k := range abi.MFN(1 << order2M) {
				b.p2m[p] = m + k
				p++
			}
		}
		if large -= n; got < n { // fragmented: the rest page by page
			break
		}
	}
	for p < r.end {
		n := min(int(r.end-p), batch4K)
		if err := b.exactly(ctx, "memory", pages(p, n, 1), r.flags, b.p2m[p:p+abi.PFN(n)]); err != nil {
			return err
		}
		p += abi.PFN(n)
	}
	return nil
}

// populatePVH gives a PVH guest the pages of a range in the largest pieces that
// fit and are to be had.
func (b *builder) populatePVH(ctx context.Context, r memRange) error {
	for p := r.start; p < r.end; {
		order := largestOrder(p, r.end)
		n := 1
		switch order {
		case order2M: // up to the next GiB
			n = min(int(r.end-p)>>order2M, int(gibPages-p%gibPages)>>order2M)
		case 0: // up to the next 2 MiB
			n = min(int(r.end-p), 1<<order2M-int(p%(1<<order2M)))
		}
		p2, err := b.populateRun(ctx, p, n, order, r.flags)
		if err != nil {
			return err
		}
		p = p2
	}
	return nil
}

// largestOrder is the order of the largest page that can start at p.
func largestOrder(p, end abi.PFN) uint {
	for _, order := range []uint{order1G, order2M} {
		if size := abi.PFN(1) << order; p%size == 0 && end-p >= size {
			return order
		}
	}
	return 0
}

// populateRun populates n extents from p on; what is not to be had in this order
// is taken in the next smaller one. It returns the page behind.
func (b *builder) populateRun(ctx context.Context, p abi.PFN, n int, order uint, flags uint32) (abi.PFN, error) {
	size := abi.PFN(1) << order
	if order == 0 {
		return p + abi.PFN(n), b.exactly(ctx, "memory", pages(p, n, 1), flags, nil)
	}
	got, err := b.h.Populate(ctx, b.dom, pages(p, n, size), order, flags, nil)
	if err != nil {
		return p, fmt.Errorf("allocate memory: %w", err)
	}
	smaller := uint(0)
	if order == order1G {
		smaller = order2M
	}
	end := p + abi.PFN(n)*size
	for p += abi.PFN(got) * size; p < end; {
		count := min(int(end-p)>>smaller, 1<<order2M)
		if p, err = b.populateRun(ctx, p, count, smaller, flags); err != nil {
			return p, err
		}
	}
	return end, nil
}

// MemoryError is a domain that could not be given its memory. It matches
// xenctrl.ErrNoMemory.
type MemoryError struct {
	What string  // what was to be allocated: "memory"
	Need abi.KiB // in one go
	Free abi.KiB // of the host, by then; 0: could not be asked
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("allocate %s: Xen gave less than the %d KiB asked for; the host has %d KiB free "+
		"(free some by shutting a guest down, or by xl mem-set of dom0)", e.What, e.Need, e.Free)
}

// Is makes the error match xenctrl.ErrNoMemory.
func (e *MemoryError) Is(target error) bool { return target == xenctrl.ErrNoMemory }
