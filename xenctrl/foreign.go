package xenctrl

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

// Mapping is memory of another domain, or one of Xen's tables, in our address
// space. It has one owner, who closes it; everybody else sees the memory only
// inside With.
type Mapping struct {
	sys System

	mu     sync.RWMutex
	b      []byte
	closed bool
}

// With calls f with the mapped memory and returns what f returns. The slice is
// dead when f returns: a touch after Close would kill the process. Close waits
// for running calls; a closed mapping is os.ErrClosed. The other domain may
// change the memory at any time, so copy first, then check.
func (m *Mapping) With(f func(b []byte) error) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return fmt.Errorf("use mapping: %w", os.ErrClosed)
	}
	return f(m.b)
}

// Len returns the size of the mapping in bytes.
func (m *Mapping) Len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.b)
}

// Close unmaps the memory. It may be called twice.
func (m *Mapping) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	b := m.b
	m.b = nil
	return m.sys.Unmap(b)
}

// MapForeign maps frames of domain dom next to each other: machine frames of a
// PV domain, GFNs otherwise. All must be there; the error wraps a *FrameError
// when some are not.
func (h *Handle) MapForeign(dom DomID, frames []GFN, prot Prot) (*Mapping, error) {
	m, errs, err := h.MapForeignSome(dom, frames, prot)
	if err != nil {
		return nil, err
	}
	bad := &FrameError{Of: len(frames)}
	for i, e := range errs {
		if e == nil {
			continue
		}
		if bad.Failed == 0 {
			bad.First, bad.Err = frames[i], e
		}
		bad.Failed++
	}
	if bad.Failed > 0 {
		return nil, &OpError{"map memory", dom, errors.Join(bad, m.Close())}
	}
	return m, nil
}

// MapForeignSome is MapForeign for frames of which some may be missing: errs has
// nil or the cause for each. The pages of missing frames must not be touched.
func (h *Handle) MapForeignSome(dom DomID, frames []GFN, prot Prot) (m *Mapping, errs []error, err error) {
	if len(frames) == 0 {
		return &Mapping{sys: noMemory{h.sys}}, nil, nil
	}
	errs = make([]error, len(frames))
	b, err := h.sys.MapForeign(dom, frames, prot, errs)
	if err != nil {
		return nil, nil, &OpError{"map memory", dom, err}
	}
	return &Mapping{sys: h.sys, b: b}, errs, nil
}

// noMemory is the System of an empty mapping, which has nothing to unmap.
type noMemory struct{ System }

func (noMemory) Unmap([]byte) error { return nil }

// MapResource maps n frames, from first on, of one of Xen's tables that belong
// to domain dom. Mapping a grant table grows it. A kernel or Xen that cannot is
// errors.ErrUnsupported.
func (h *Handle) MapResource(dom DomID, r Resource, first uint64, n int, prot Prot) (*Mapping, error) {
	b, err := h.sys.MapResource(dom, r, first, n, prot)
	if err != nil {
		return nil, &OpError{"map resource", dom, err}
	}
	return &Mapping{sys: h.sys, b: b}, nil
}

// ResourceFrames returns how many frames a resource has. Kernels before 5.11
// cannot tell (syscall.EINVAL), and Xen 4.14 answers 32 for everything.
func (h *Handle) ResourceFrames(dom DomID, r Resource) (int, error) {
	n, err := h.sys.ResourceFrames(dom, r)
	if err != nil {
		return 0, &OpError{"get resource size", dom, err}
	}
	return n, nil
}
