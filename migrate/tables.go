package migrate

import (
	"fmt"

	"goxl/xenctrl/abi"
)

// Bits of a page table entry, and the part of the root table that is Xen's own.
// Source: xen/include/public/arch-x86/xen-x86_64.h.
const (
	ptePresent = 1 << 0
	pteLarge   = 1 << 7 // in tables of level 2 and up
	pteFrame   = 1<<52 - 1<<12

	xenFirst = 256 // entries of a level 4 table: 0xffff8000...
	xenLast  = 271 // ... to 0xffff87ff...
)

// outgoingTable replaces the machine frames in a page table by the guest's own
// numbers, and clears what Xen put there. A frame that is none of the guest's
// pages is errInFlux: while the guest runs that passes.
func outgoingTable(level int, table []byte, pfn func(abi.MFN) (abi.PFN, bool)) error {
	return eachEntry(level, table, func(i int, e uint64) (uint64, error) {
		if level == 4 && i >= xenFirst && i <= xenLast {
			return 0, nil
		}
		if e&ptePresent == 0 {
			return e, nil
		}
		if level > 1 && e&pteLarge != 0 {
			return 0, fmt.Errorf("entry %d of a level %d page table is a large page, which cannot be moved", i, level)
		}
		m := abi.MFN(e & pteFrame >> abi.PageShift)
		p, ok := pfn(m)
		if !ok {
			return 0, fmt.Errorf("entry %d of a level %d page table: frame %#x is none of the guest's pages: %w", i, level, uint64(m), errInFlux)
		}
		return e&^pteFrame | uint64(p)<<abi.PageShift, nil
	})
}

// incomingTable replaces the guest's own numbers in a page table by the machine
// frames that its pages are in here. mfn makes pages that are not there yet.
func incomingTable(level int, table []byte, mfn func(abi.PFN) (abi.MFN, error)) error {
	return eachEntry(level, table, func(i int, e uint64) (uint64, error) {
		if e&ptePresent == 0 {
			return e, nil
		}
		if level > 1 && e&pteLarge != 0 {
			return 0, fmt.Errorf("entry %d of a level %d page table is a large page", i, level)
		}
		m, err := mfn(abi.PFN(e & pteFrame >> abi.PageShift))
		if err != nil {
			return 0, fmt.Errorf("entry %d of a level %d page table: %w", i, level, err)
		}
		return e&^pteFrame | uint64(m)<<abi.PageShift, nil
	})
}

func eachEntry(level int, table []byte, f func(i int, e uint64) (uint64, error)) error {
	for i := range perPage {
		e := le.Uint64(table[i*8:])
		if e == 0 {
			continue
		}
		n, err := f(i, e)
		if err != nil {
			return err
		}
		le.PutUint64(table[i*8:], n)
	}
	return nil
}
