package blkback

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"goxl/backends"
	"goxl/blkback/disk"
	"goxl/blkback/mirror"
	"goxl/xenctrl/abi"
)

// noting is what of a vbd belongs to a copy that is made of it.
type noting struct {
	tracker atomic.Pointer[mirror.Tracker] // nil: no copy is made
	serving atomic.Pointer[[]*queue]       // nil: no ring is served
}

// noted is a disk of which writes are noted while a copy is made.
type noted struct {
	disk.Disk
	*noting
}

// WriteAt notes the place when the write has ended, however that was: see package mirror.
func (d noted) WriteAt(p []byte, off int64) (int, error) {
	n, err := d.Disk.WriteAt(p, off)
	d.mark(off, int64(len(p)))
	return n, err
}

// Discard notes the place, too: what is read there is another now.
func (d noted) Discard(off, n int64) error {
	err := d.Disk.Discard(off, n)
	d.mark(off, n)
	return err
}

func (n *noting) mark(off, length int64) {
	if t := n.tracker.Load(); t != nil {
		t.Mark(off, length)
	}
}

// serves has Settle find the queues, until the returned function is called.
func (n *noting) serves(queues []*queue) (end func()) {
	n.serving.Store(&queues)
	return func() { n.serving.Store(nil) }
}

// Disks implements mirror.Source.
func (d *Driver) Disks() []mirror.Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]mirror.Disk, 0, len(d.vbds))
	for _, v := range d.vbds {
		list = append(list, v.described())
	}
	slices.SortFunc(list, func(a, b mirror.Disk) int {
		if a.Dom != b.Dom {
			return int(a.Dom) - int(b.Dom)
		}
		return a.Dev - b.Dev
	})
	return list
}

func (v *vbd) described() mirror.Disk {
	return mirror.Disk{ID: mirror.ID{Dom: uint16(v.node.ID.Dom), Dev: v.node.ID.Dev}, Path: v.place.path,
		Format: string(v.place.format), Size: v.disk.Size(), ReadOnly: v.readOnly()}
}

// Mirror implements mirror.Source.
func (d *Driver) Mirror(id mirror.ID) (mirror.Mirror, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.vbds[backends.ID{Dom: abi.DomID(id.Dom), Dev: id.Dev}]
	if v == nil {
		return nil, fmt.Errorf("it serves no device %d of domain %d", id.Dev, id.Dom)
	}
	t, err := mirror.NewTracker(v.disk.Size())
	if err != nil {
		return nil, err
	}
	if !v.noting.tracker.CompareAndSwap(nil, t) {
		return nil, fmt.Errorf("device %d of domain %d is being copied already", id.Dev, id.Dom)
	}
	return &mirrored{v, t}, nil
}

// mirrored is a vbd of which a copy is made. After the vbd's end its methods return
// errors.
type mirrored struct {
	v *vbd
	*mirror.Tracker
}

func (m *mirrored) ReadAt(p []byte, off int64) (int, error) { return m.v.disk.ReadAt(p, off) }
func (m *mirrored) Disk() mirror.Disk                       { return m.v.described() }
func (m *mirrored) Close()                                  { m.v.noting.tracker.CompareAndSwap(m.Tracker, nil) }

// Settle asks each queue to say when all that it has taken is answered, and no more is in
// its ring. A disk without a ring has nothing under way.
func (m *mirrored) Settle(ctx context.Context) error {
	queues := m.v.noting.serving.Load()
	if queues == nil {
		return nil
	}
	for _, q := range *queues {
		if err := q.settle(ctx); err != nil {
			return fmt.Errorf("wait for requests that are under way: %w", err)
		}
	}
	return nil
}

// rest is how others wait until a queue has nothing to do.
type rest struct {
	asked chan chan<- struct{} // of the loop: close it then; room for one
	over  chan struct{}        // closed when the queue is not served any more
}

func newRest() rest { return rest{make(chan chan<- struct{}, 1), make(chan struct{})} }

// settle waits until nothing is under way.
func (q *queue) settle(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case q.asked <- done:
		q.sleeper.wake()
	case <-q.over:
		return nil
	case <-ctx.Done():
		return errBusy
	}
	select {
	case <-done:
	case <-q.over:
	case <-ctx.Done():
		return errBusy
	}
	return nil
}

var errBusy = errors.New("they do not end: does the host's disk answer?")

// told tells those who wait that nothing is under way.
func told(waiting []chan<- struct{}) []chan<- struct{} {
	for _, c := range waiting {
		close(c)
	}
	return waiting[:0]
}
