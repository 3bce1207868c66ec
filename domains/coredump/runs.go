package coredump

import (
	"encoding/binary"

	"goxl/xenctrl/abi"
)

// page names a page of the guest: its own number and the frame to map it by.
type page struct {
	pfn uint64
	gfn abi.GFN
}

// runs notes which pages were written, in order. Neighbours, as most are, cost
// nothing: a table of all pages of a large guest would take gigabytes.
type runs struct {
	list  []run
	count uint64
}

type run struct {
	page
	n uint64
}

func (r *runs) add(p page) {
	r.count++
	if k := len(r.list) - 1; k >= 0 {
		if last := &r.list[k]; last.pfn+last.n == p.pfn && last.gfn+abi.GFN(last.n) == p.gfn {
			last.n++
			return
		}
	}
	r.list = append(r.list, run{p, 1})
}

// table calls emit with the bytes of .xen_p2m or .xen_pfn piece by piece: an entry
// for each page that was written, then invalid ones up to total.
func (r *runs) table(pfnOnly bool, total uint64, emit func([]byte) error) error {
	var b []byte
	entry := func(pfn, gfn uint64) error {
		b = binary.LittleEndian.AppendUint64(b, pfn)
		if !pfnOnly {
			b = binary.LittleEndian.AppendUint64(b, gfn)
		}
		if len(b) < 1<<20 {
			return nil
		}
		err := emit(b)
		b = b[:0]
		return err
	}
	for _, x := range r.list {
		for i := range x.n {
			if err := entry(x.pfn+i, uint64(x.gfn)+i); err != nil {
				return err
			}
		}
	}
	for range total - r.count {
		if err := entry(abi.InvalidFrame, abi.InvalidFrame); err != nil {
			return err
		}
	}
	return emit(b)
}
