package hostile

import (
	"errors"

	"goxl/xenctrl/evtchn"
	"goxl/xenctrl/gnttab"
)

// kernel is Linux in the guest: its devices for grants and event channels.
type kernel struct {
	*evtchn.Conn
	alloc *gnttab.Allocator
}

func openKernel() (*kernel, error) {
	events, err := evtchn.Open()
	if err != nil {
		return nil, err
	}
	alloc, err := gnttab.OpenAllocator()
	if err != nil {
		return nil, errors.Join(err, events.Close())
	}
	return &kernel{events, alloc}, nil
}

func (k *kernel) close() error { return errors.Join(k.alloc.Close(), k.Conn.Close()) }

// Share implements Xen.
func (k *kernel) Share(n int, a gnttab.Access) (*Pages, error) {
	s, err := k.alloc.Share(domain0, n, a)
	if err != nil {
		return nil, err
	}
	p := &Pages{Refs: s.Refs(), Free: s.Close}
	err = s.With(func(b []byte) error {
		p.Bytes = b // nobody but Free closes it
		return nil
	})
	return p, err
}
