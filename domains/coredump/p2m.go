package coredump

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// ErrNoP2M says that a PV guest did not tell where its table of frames is, so that
// nobody can know which page is which: it has not booted yet.
var ErrNoP2M = errors.New("the guest's kernel has not told yet where its table of frames is")

// Offsets in struct shared_info of a 64-bit guest. Source: xen/include/public/xen.h
// and arch-x86/xen.h, struct arch_shared_info.
const (
	offFrameListList = 3096 // pfn_to_mfn_frame_list_list
	offP2MCR3        = 3112
	offP2MVaddr      = 3120
)

const (
	perPage   = abi.PageSize / 8 // frame numbers in a page
	maxPFNs   = 1 << 31          // of a guest: 8 TiB
	maxByTree = perPage * perPage * perPage
	tableBits = 9

	// Where PV guests cannot have anything of theirs. Source: arch-x86/xen-x86_64.h.
	xenFirst = 0xffff800000000000
	xenLast  = 0xffff87ffffffffff

	frameMask = 0x000ffffffffff000 // the frame in a page table entry
)

// p2m is a PV guest's table of which machine frame each of its pages is. The guest
// can write anything there: what counts is what Xen lets us map.
type p2m struct {
	h      *xenctrl.Handle
	id     abi.DomID
	size   uint64    // how many pfns it covers
	leaves []abi.GFN // the frames that hold it
	top    abi.MFN   // highest machine frame that is memory
}

// openP2M finds the table through the shared info page: as a range of the guest's
// virtual memory if it offers one, else as the older tree of lists.
func openP2M(h *xenctrl.Handle, id abi.DomID, sharedInfo []byte, size uint64, pages abi.Pages) (*p2m, error) {
	if size < uint64(pages) {
		return nil, fmt.Errorf("%w: it knows of %d pages and has %d", ErrNoP2M, size, pages)
	}
	if size > maxPFNs {
		return nil, fmt.Errorf("the guest claims to have %d page numbers, at most %d make sense", size, maxPFNs)
	}
	t := &p2m{h: h, id: id, size: size}
	var err error
	if t.top, err = h.MaximumRAMPage(); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if cr3 := le.Uint64(sharedInfo[offP2MCR3:]); cr3 != 0 {
		err = t.walk(cr3, le.Uint64(sharedInfo[offP2MVaddr:]))
	} else {
		err = t.lists(le.Uint64(sharedInfo[offFrameListList:]))
	}
	return t, err
}

// lists reads the leaves from the list that the list of lists names.
func (t *p2m) lists(root uint64) error {
	if root == 0 || root == abi.InvalidFrame {
		return ErrNoP2M
	}
	if t.size > maxByTree {
		return fmt.Errorf("the guest claims to have %d page numbers, its kind of table holds %d", t.size, uint64(maxByTree))
	}
	b, err := readPages(t.h, t.id, []abi.GFN{abi.GFN(root)})
	if err != nil {
		return fmt.Errorf("read the list of lists of frames: %w", err)
	}
	if b, err = readPages(t.h, t.id, frames(b, ceil(t.size, perPage*perPage))); err != nil {
		return fmt.Errorf("read the lists of frames: %w", err)
	}
	t.leaves = frames(b, ceil(t.size, perPage))
	return nil
}

// walk finds the leaves through the guest's page tables.
func (t *p2m) walk(cr3, first uint64) error {
	last := first + ceil(t.size, perPage)*abi.PageSize - 1
	if !canonical(first) || !canonical(last) || last < first || first <= xenLast && last >= xenFirst {
		return fmt.Errorf("the guest's table of frames lies at %#x-%#x, where none can be", first, last)
	}
	tables := []abi.GFN{abi.GFN(cr3 >> abi.PageShift)}
	base := first & (1<<48 - 1) // becomes the part below what the tables so far resolve
	span := last - first
	for level := 4; level > 0; level-- {
		b, err := readPages(t.h, t.id, tables)
		if err != nil {
			return fmt.Errorf("read the level %d page tables: %w", level, err)
		}
		shift := uint(level*tableBits + 3)
		from, to := base>>shift, (base+span)>>shift
		tables = make([]abi.GFN, 0, to-from+1)
		for i := from; i <= to; i++ {
			f := binary.LittleEndian.Uint64(b[8*i:]) & frameMask >> abi.PageShift
			if f == 0 {
				return fmt.Errorf("the guest's table of frames at %#x has a hole in its level %d page table", first, level)
			}
			tables = append(tables, abi.GFN(f))
		}
		base &= 1<<shift - 1
	}
	t.leaves = tables
	return nil
}

// each calls found with every page that has a machine frame.
func (t *p2m) each(ctx context.Context, found func(page) error) error {
	for pfn := uint64(0); pfn < t.size; {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		part := t.leaves[pfn/perPage:]
		part = part[:min(len(part), perPage)]
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

func canonical(a uint64) bool { return int64(a)>>47 == int64(a)>>63 }

func ceil(n, per uint64) uint64 { return (n + per - 1) / per }

// frames reads the first n frame numbers of b.
func frames(b []byte, n uint64) []abi.GFN {
	out := make([]abi.GFN, min(n, uint64(len(b)/8)))
	for i := range out {
		out[i] = abi.GFN(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return out
}
