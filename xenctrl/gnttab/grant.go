package gnttab

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"goxl/xenctrl/abi"
)

// Names of the values that methods take.
type (
	DomID    = abi.DomID
	GrantRef = abi.GrantRef
	Port     = abi.Port
	Status   = abi.GrantStatus
)

// Access says what granted memory may be used for.
type Access bool

// The two kinds of access.
const (
	ReadOnly  Access = false
	ReadWrite Access = true
)

// Grant names a page that a domain granted.
type Grant struct {
	Dom DomID
	Ref GrantRef
}

// Place is one end of a copy: bytes of our own memory, or granted memory from
// Offset on.
type Place struct {
	Local []byte // nil: Grant counts
	Grant
	Offset uint16
}

// Segment is one copy. It must not cross the end of a granted page.
type Segment struct {
	Src, Dst Place
	Len      uint16
}

// check refuses what the kernel would, with words.
func (s *Segment) check() error {
	if s.Src.Local != nil && s.Dst.Local != nil {
		return errors.New("both ends are local")
	}
	for _, p := range []*Place{&s.Src, &s.Dst} {
		switch {
		case p.Local != nil && len(p.Local) < int(s.Len):
			return fmt.Errorf("%d local bytes for a copy of %d", len(p.Local), s.Len)
		case p.Local == nil && int(p.Offset)+int(s.Len) > abi.PageSize:
			return fmt.Errorf("%d bytes at offset %d cross the page", s.Len, p.Offset)
		}
	}
	return nil
}

// CopyError says which segment of a copy failed.
type CopyError struct {
	Segment int
	Err     error // a Status when Xen refused
}

func (e *CopyError) Error() string { return fmt.Sprintf("segment %d: %v", e.Segment, e.Err) }

// Unwrap gives the cause.
func (e *CopyError) Unwrap() error { return e.Err }

// opError words a refused operation.
func opError(op string, err error) error { return fmt.Errorf("grant table: %s: %w", op, err) }

// region is mapped memory with one owner.
type region struct {
	mu     sync.RWMutex
	b      []byte
	closed bool
	free   func([]byte) error
}

// With calls f with the memory and returns what f returns. The slice is dead
// when f returns; a closed mapping is os.ErrClosed. The other domain may change
// the memory at any time, so copy first, then check.
func (r *region) With(f func(b []byte) error) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed {
		return opError("use mapping", os.ErrClosed)
	}
	return f(r.b)
}

// Len returns the size of the memory in bytes.
func (r *region) Len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.b)
}

// Close ends the mapping, after running calls of With. It may be called twice.
func (r *region) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	b := r.b
	r.b = nil
	return r.free(b)
}
