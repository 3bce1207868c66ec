//go:build !linux

package gnttab

import "errors"

// Conn maps and copies granted memory; only Linux has a driver for it here.
type Conn struct{}

// Mapping is granted memory in our address space.
type Mapping struct{ region }

// Allocator grants fresh pages to other domains.
type Allocator struct{}

// Shared is memory of ours that another domain may map.
type Shared struct{ region }

// Open is unsupported.
func Open() (*Conn, error) { return nil, opError("open", errors.ErrUnsupported) }

// OpenAllocator is unsupported.
func OpenAllocator() (*Allocator, error) { return nil, opError("open", errors.ErrUnsupported) }

// Map is unsupported.
func (c *Conn) Map(DomID, []GrantRef, Access) (*Mapping, error) { return nil, errors.ErrUnsupported }

// MapGrants is unsupported.
func (c *Conn) MapGrants([]Grant, Access) (*Mapping, error) { return nil, errors.ErrUnsupported }

// Copy checks the segments and is unsupported.
func (c *Conn) Copy(segs []Segment) error {
	for i := range segs {
		if err := segs[i].check(); err != nil {
			return opError("copy", &CopyError{i, err})
		}
	}
	return errors.ErrUnsupported
}

// NewBatch is unsupported.
func (c *Conn) NewBatch() (*Batch, error) { return nil, errors.ErrUnsupported }

// Close does nothing.
func (c *Conn) Close() error { return nil }

// NotifyOnUnmap is unsupported.
func (m *Mapping) NotifyOnUnmap(int, Port) error { return errors.ErrUnsupported }

// Share is unsupported.
func (a *Allocator) Share(DomID, int, Access) (*Shared, error) { return nil, errors.ErrUnsupported }

// Close does nothing.
func (a *Allocator) Close() error { return nil }

// Refs returns nothing.
func (s *Shared) Refs() []GrantRef { return nil }

// NotifyOnUnmap is unsupported.
func (s *Shared) NotifyOnUnmap(int, Port) error { return errors.ErrUnsupported }
