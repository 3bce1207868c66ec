package hostile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"goxl/xenctrl/abi"
	"goxl/xenctrl/evtchn"
	"goxl/xenctrl/gnttab"
	"goxl/xenstore"
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

// Console reaches the page through /dev/mem: in a PVH guest it is not among the
// guest's memory, so that the kernel lets us. Events are sent by printing: Debian's
// kernel lets no program of a guest make hypercalls.
func (k *kernel) Console(ctx context.Context, store *xenstore.Client) (*Console, error) {
	v, err := store.Read(ctx, "console/ring-ref")
	if err != nil {
		return nil, err
	}
	frame, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return nil, err
	}
	mem, err := os.OpenFile("/dev/mem", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer mem.Close()
	page, err := unix.Mmap(int(mem.Fd()), int64(frame)<<abi.PageShift, abi.PageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the console's page %#x: %w", frame, err)
	}
	tty, err := os.OpenFile("/dev/hvc0", os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, errors.Join(err, unix.Munmap(page))
	}
	write := func(s string) { _, _ = tty.WriteString(s) } // what is lost was to be lost
	return &Console{Page: page, Print: write, Notify: func() { write(".") },
		Close: func() error { return errors.Join(tty.Close(), unix.Munmap(page)) }}, nil
}
