// Package p2m finds the table in which a PV guest keeps the machine frame of each of
// its pages. Xen does not know it: the guest's kernel makes it, and tells the toolstack
// in the shared info page where it is. All of that is the guest's word, and hostile:
// what counts is what Xen lets us map.
package p2m

import (
	"encoding/binary"
	"errors"
	"fmt"

	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// PerPage is how many entries a page of the table holds, and of a page table.
const PerPage = abi.PageSize / 8

// ErrNone says that the guest has not told where its table is: its kernel has not
// booted yet.
var ErrNone = errors.New("the guest's kernel has not told yet where its table of pages is")

// Table is where a guest keeps its table.
type Table struct {
	Leaves []abi.GFN // the frames that hold it, PerPage entries of 8 bytes in each
	// Generation counts the guest's changes of the leaves, by two; it is odd while a
	// change is under way. Only a table at addresses of the guest's own has it.
	Generation uint64
}

// Offsets in the shared info of a 64-bit guest. Source: xen/include/public/xen.h and
// arch-x86/xen.h, struct arch_shared_info.
const (
	offFrameListList = 3096 // pfn_to_mfn_frame_list_list
	offCR3           = 3112 // p2m_cr3
	offVAddr         = 3120 // p2m_vaddr
	// OffGeneration is where the guest keeps Table.Generation: p2m_generation.
	OffGeneration = 3128
)

// Find finds the table of a guest of 64 bits by a copy of its shared info page: at a
// range of the guest's virtual memory if it offers one, else in the older tree of
// lists. entries is how many page numbers it covers; the caller has bounded it, since
// the guest says that, too. It makes a few mappings of the guest's memory and keeps
// none.
func Find(h *xenctrl.Handle, id abi.DomID, sharedInfo []byte, entries uint64) (*Table, error) {
	le := binary.LittleEndian
	t := &Table{Generation: le.Uint64(sharedInfo[OffGeneration:])}
	f := finder{h, id, (entries + PerPage - 1) / PerPage}
	var err error
	if cr3 := le.Uint64(sharedInfo[offCR3:]); cr3 != 0 {
		t.Leaves, err = f.walk(cr3, le.Uint64(sharedInfo[offVAddr:]))
	} else {
		t.Leaves, err = f.lists(le.Uint64(sharedInfo[offFrameListList:]))
	}
	return t, err
}

// finder looks for the leaves of a guest's table.
type finder struct {
	h    *xenctrl.Handle
	id   abi.DomID
	want uint64 // leaves
}

// lists reads the leaves from the lists that the list of lists names.
func (f finder) lists(root uint64) ([]abi.GFN, error) {
	if root == 0 || root == abi.InvalidFrame {
		return nil, ErrNone
	}
	if f.want > PerPage*PerPage {
		return nil, fmt.Errorf("a tree of three levels has no room for %d pages of entries", f.want)
	}
	top, err := f.read([]abi.GFN{abi.GFN(root)})
	if err != nil {
		return nil, fmt.Errorf("the list of lists of frames: %w", err)
	}
	lists, err := f.read(frames(top, (f.want+PerPage-1)/PerPage))
	if err != nil {
		return nil, fmt.Errorf("the lists of frames: %w", err)
	}
	return frames(lists, f.want), nil
}

// In a page table entry. Source: the processor's manual.
const (
	present   = 1 << 0
	large     = 1 << 7
	frameMask = 0x000ffffffffff000
	tableBits = 9
)

// walk finds the leaves through the guest's page tables, a level at a time.
func (f finder) walk(cr3, first uint64) ([]abi.GFN, error) {
	span := f.want*abi.PageSize - 1
	if !plausible(first, first+span) {
		return nil, fmt.Errorf("it is said to lie at %#x-%#x, where none can be", first, first+span)
	}
	tables := []abi.GFN{abi.GFN(cr3 >> abi.PageShift)}
	base := first & (1<<48 - 1) // becomes the part below what the tables so far resolve
	for level := 4; level > 0; level-- {
		b, err := f.read(tables)
		if err != nil {
			return nil, fmt.Errorf("its page tables: %w", err)
		}
		shift := uint(level*tableBits + 3)
		from, to := base>>shift, (base+span)>>shift
		tables = make([]abi.GFN, 0, to-from+1)
		for i := from; i <= to; i++ {
			e := binary.LittleEndian.Uint64(b[8*i:])
			if e&present == 0 || level > 1 && e&large != 0 {
				at := max(first, first>>shift<<shift+(i-from)<<shift)
				return nil, fmt.Errorf("its page tables do not map address %#x (level %d: %#x)", at, level, e)
			}
			tables = append(tables, abi.GFN(e&frameMask>>abi.PageShift))
		}
		base &= 1<<shift - 1
	}
	return tables, nil
}

// plausible reports whether a PV guest can have something of its own there: between
// whole pages, at canonical addresses, and not where Xen is. Source:
// arch-x86/xen-x86_64.h, HYPERVISOR_VIRT_START and _END.
func plausible(first, last uint64) bool {
	const xenFirst, xenLast = 0xffff800000000000, 0xffff87ffffffffff
	canonical := func(a uint64) bool { return int64(a)>>47 == int64(a)>>63 }
	return first%abi.PageSize == 0 && canonical(first) && canonical(last) && first <= last &&
		int64(first)>>63 == int64(last)>>63 && (first > xenLast || last < xenFirst)
}

// read returns a copy of frames of the guest's.
func (f finder) read(list []abi.GFN) ([]byte, error) {
	m, err := f.h.MapForeign(f.id, list, xenctrl.ProtRead)
	if err != nil {
		return nil, err
	}
	b := make([]byte, m.Len())
	err = m.With(func(p []byte) error { copy(b, p); return nil })
	return b, errors.Join(err, m.Close())
}

// frames reads the first n frame numbers of b.
func frames(b []byte, n uint64) []abi.GFN {
	out := make([]abi.GFN, min(n, uint64(len(b)/8)))
	for i := range out {
		out[i] = abi.GFN(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return out
}
