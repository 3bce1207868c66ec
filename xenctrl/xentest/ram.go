package xentest

import (
	"slices"
	"syscall"

	"goxl/xenctrl/abi"
)

// span is a run of free machine frames.
type span struct{ first, n uint64 }

// allocator hands out machine frames. Single frames come from short runs at the
// top of memory, the highest run first, so that code which takes frames for
// contiguous, or a pfn for an mfn, goes wrong in tests.
type allocator struct {
	free  []span // ascending
	small []uint64
}

const smallRun = 16

// count returns how many frames are free.
func (a *allocator) count() uint64 {
	n := uint64(len(a.small))
	for _, s := range a.free {
		n += s.n
	}
	return n
}

// get takes 1<<order aligned, contiguous frames.
func (a *allocator) get(order uint) (uint64, error) {
	if order == 0 {
		return a.single()
	}
	size := uint64(1) << order
	for i, s := range a.free {
		at := (s.first + size - 1) &^ (size - 1)
		if at+size <= s.first+s.n {
			a.cut(i, at, size)
			return at, nil
		}
	}
	return 0, syscall.ENOMEM
}

func (a *allocator) single() (uint64, error) {
	if len(a.small) == 0 {
		if len(a.free) == 0 {
			return 0, syscall.ENOMEM
		}
		i := len(a.free) - 1
		s := a.free[i]
		n := min(s.n, smallRun)
		first := s.first + s.n - n
		a.cut(i, first, n)
		for f := first + n; f > first; f-- {
			a.small = append(a.small, f-1)
		}
	}
	f := a.small[len(a.small)-1]
	a.small = a.small[:len(a.small)-1]
	return f, nil
}

// cut takes n frames from first on out of span i.
func (a *allocator) cut(i int, first, n uint64) {
	s := a.free[i]
	var rest []span
	if first > s.first {
		rest = append(rest, span{s.first, first - s.first})
	}
	if end := s.first + s.n; first+n < end {
		rest = append(rest, span{first + n, end - first - n})
	}
	a.free = slices.Replace(a.free, i, i+1, rest...)
}

// put gives frames back.
func (a *allocator) put(frames []uint64) {
	slices.Sort(frames)
	for _, f := range frames {
		a.free = append(a.free, span{f, 1})
	}
	slices.SortFunc(a.free, func(x, y span) int { return int(int64(x.first) - int64(y.first)) })
	merged := a.free[:0]
	for _, s := range a.free {
		if n := len(merged); n > 0 && merged[n-1].first+merged[n-1].n == s.first {
			merged[n-1].n += s.n
		} else {
			merged = append(merged, s)
		}
	}
	a.free = merged
}

// page returns the memory of a machine frame.
func (r *ram) page(frame uint64) []byte {
	return r.all[frame<<abi.PageShift:][:abi.PageSize:abi.PageSize]
}

// setM2P writes an entry of the machine-to-physical table, which lies in the
// first frames of memory.
func (r *ram) setM2P(frame, pfn uint64) { le.PutUint64(r.all[8*frame:], pfn) }

// m2p reads an entry.
func (r *ram) m2p(frame uint64) uint64 { return le.Uint64(r.all[8*frame:]) }

// layout reserves the table and frees the rest.
func (r *ram) layout(pages uint64) {
	r.frames = pages
	r.m2pFrames = (pages*8 + abi.PageSize - 1) >> abi.PageShift
	r.free = []span{{r.m2pFrames, pages - r.m2pFrames}}
}
