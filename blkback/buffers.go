package blkback

import "goxl/xenctrl/abi"

// Buffers come in these numbers of pages: one page, the most of a plain request, and
// for indirect ones.
func classes() [4]int { return [4]int{1, 16, 64, maxIndirect} }

// buffers are a queue's memory for data: whole pages outside Go's heap, made when they
// are needed, kept for the next request, and bounded. They belong to the queue's
// goroutine; workers fill and empty what they are handed.
type buffers struct {
	limit int // bytes
	total int
	lent  int
	size  [4]int // bytes per buffer of a class
	free  [4][][]byte
	alloc func(n int) ([]byte, error) // mapPages; tests make it fail
}

func newBuffers(limit int) *buffers {
	b := &buffers{limit: limit, alloc: mapPages}
	for i, pages := range classes() {
		b.size[i] = pages * abi.PageSize
	}
	return b
}

func (b *buffers) class(n int) int {
	for i, size := range b.size {
		if n <= size {
			return i
		}
	}
	panic("blkback: a request beyond the largest buffer")
}

// get returns n bytes, or nil when there is no room until one is put back. When none
// is lent there is always room for one, unless the host has no memory.
func (b *buffers) get(n int) ([]byte, error) {
	c := b.class(n)
	if k := len(b.free[c]); k > 0 {
		p := b.free[c][k-1]
		b.free[c] = b.free[c][:k-1]
		b.lent++
		return p[:n], nil
	}
	if b.total+b.size[c] > b.limit {
		b.trim()
	}
	if b.total+b.size[c] > b.limit && b.lent > 0 {
		return nil, nil
	}
	p, err := b.alloc(b.size[c])
	if err != nil {
		if b.lent > 0 { // some will come back
			return nil, nil
		}
		return nil, err
	}
	b.total += len(p)
	b.lent++
	return p[:n], nil
}

// put takes back what get returned.
func (b *buffers) put(p []byte) {
	if p == nil {
		return
	}
	p = p[:cap(p)]
	c := b.class(len(p))
	b.free[c] = append(b.free[c], p)
	b.lent--
}

// trim gives all memory that is not lent back to the host.
func (b *buffers) trim() {
	for c := range b.free {
		for i, p := range b.free[c] {
			b.total -= len(p)
			unmapPages(p)
			b.free[c][i] = nil
		}
		b.free[c] = b.free[c][:0]
	}
}
