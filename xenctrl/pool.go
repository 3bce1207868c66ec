package xenctrl

import (
	"errors"
	"math/bits"
	"sync"

	"goxl/xenctrl/abi"
)

// poolClasses bounds what the pool keeps: buffers of 1, 2, 4 … 64 pages, a few
// of each. Bigger ones are released after use.
const (
	poolClasses = 7
	poolKeep    = 4
)

// pool hands out hypercall buffers and keeps some for the next call, since
// getting one costs two system calls.
type pool struct {
	sys    System
	mu     sync.Mutex
	free   [poolClasses][]Buffer
	closed bool // keep nothing any more
}

// get returns a buffer of at least size bytes, not cleared.
func (p *pool) get(size int) (Buffer, error) {
	pages := max(1, (size+abi.PageSize-1)>>abi.PageShift)
	class := bits.Len(uint(pages - 1))
	if class >= poolClasses {
		return p.sys.Alloc(pages)
	}
	p.mu.Lock()
	if n := len(p.free[class]); n > 0 {
		b := p.free[class][n-1]
		p.free[class] = p.free[class][:n-1]
		p.mu.Unlock()
		return b, nil
	}
	p.mu.Unlock()
	return p.sys.Alloc(1 << class)
}

// put takes a buffer back.
func (p *pool) put(b Buffer) {
	class := bits.Len(uint(len(b.b)>>abi.PageShift - 1))
	p.mu.Lock()
	if class < poolClasses && len(p.free[class]) < poolKeep && !p.closed {
		if p.free[class] == nil {
			p.free[class] = make([]Buffer, 0, poolKeep)
		}
		p.free[class] = append(p.free[class], b)
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	_ = p.sys.Free(b) // munmap of our own mapping: nothing to tell a caller
}

// close releases what is kept.
func (p *pool) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	var errs []error
	for i, list := range p.free {
		for _, b := range list {
			errs = append(errs, p.sys.Free(b))
		}
		p.free[i] = nil
	}
	return errors.Join(errs...)
}
