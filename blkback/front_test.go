package blkback

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"
	"unsafe"

	"goxl/backends"
	"goxl/backends/backtest"
	"goxl/backends/ring"
	"goxl/blkback/blkif"
	"goxl/blkback/disk"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
)

func TestMain(m *testing.M) { xentest.Main(m) }

// memDisk is a disk in memory that can fail and be held up.
type memDisk struct {
	mu      sync.Mutex
	b       []byte
	flushes int
	closed  bool
	fail    error
	gate    chan struct{} // if set, I/O waits until it is closed
	order   []string      // what was done, if it is recorded
	record  bool
}

func (d *memDisk) enter(what string, off int64, n int) error {
	d.mu.Lock()
	gate := d.gate
	d.mu.Unlock()
	if gate != nil {
		<-gate
	}
	d.mu.Lock()
	if d.record {
		d.order = append(d.order, fmt.Sprintf("%s %d", what, off))
	}
	if d.closed {
		return errors.New("disk is closed")
	}
	if off < 0 || off+int64(n) > int64(len(d.b)) {
		return fmt.Errorf("%d bytes at %d", n, off)
	}
	return d.fail
}

func (d *memDisk) ReadAt(p []byte, off int64) (int, error) {
	defer d.mu.Unlock()
	if err := d.enter("read", off, len(p)); err != nil {
		return 0, err
	}
	return copy(p, d.b[off:]), nil
}

func (d *memDisk) WriteAt(p []byte, off int64) (int, error) {
	defer d.mu.Unlock()
	if err := d.enter("write", off, len(p)); err != nil {
		return 0, err
	}
	return copy(d.b[off:], p), nil
}

func (d *memDisk) Flush() error {
	defer d.mu.Unlock()
	err := d.enter("flush", 0, 0)
	d.flushes++
	return err
}

func (d *memDisk) Discard(off, n int64) error {
	defer d.mu.Unlock()
	if err := d.enter("discard", off, int(n)); err != nil {
		return err
	}
	clear(d.b[off : off+n])
	return nil
}

// at is a byte of the disk. Answers come through shared memory, of which the race
// detector knows nothing.
func (d *memDisk) at(off int) byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.b[off]
}

func (d *memDisk) Size() int64 { return int64(len(d.b)) }

func (d *memDisk) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	return nil
}

// frontRing is a guest's side of one queue.
type frontRing struct {
	t      testing.TB
	g      *backtest.Guest
	layout blkif.Layout
	pages  []backtest.Page
	ring   *ring.Front
	port   *backtest.Port
	slot   []byte
	next   uint64
	got    map[uint64]blkif.Response
}

// newFrontRing makes a ring of so many pages.
func newFrontRing(t testing.TB, g *backtest.Guest, layout blkif.Layout, pages int) *frontRing {
	f := &frontRing{t: t, g: g, layout: layout, port: g.Port(), slot: make([]byte, layout.SlotSize()), got: map[uint64]blkif.Response{}}
	var mem []byte
	f.pages, mem = g.Pages(pages)
	var err error
	if f.ring, err = ring.NewFront(mem, layout.SlotSize()); err != nil {
		t.Fatal(err)
	}
	return f
}

// send puts a request with a new id.
func (f *frontRing) send(r *blkif.Request) uint64 {
	f.next++
	r.ID = f.next<<32 | 0xa09
	f.layout.Put(f.slot, r, 3)
	f.ring.Put(f.slot)
	return r.ID
}

// word is one of the ring's indices.
func (f *frontRing) word(off int) *uint32 { return (*uint32)(unsafe.Pointer(&f.pages[0].Bytes[off])) }

func (f *frontRing) push() {
	if f.ring.Publish() {
		f.port.Notify()
	}
}

// poll takes all responses that are there.
func (f *frontRing) poll() int {
	n := 0
	rsp := make([]byte, f.layout.ResponseSize())
	for {
		ok, err := f.ring.Next(rsp)
		if err != nil {
			f.t.Fatal(err)
		}
		if !ok {
			return n
		}
		r := blkif.DecodeResponse(rsp)
		if _, twice := f.got[r.ID]; twice {
			f.t.Fatalf("request %#x is answered twice", r.ID)
		}
		f.got[r.ID] = r
		n++
	}
}

// await waits for the response to id, and forgets it.
func (f *frontRing) await(id uint64) blkif.Response {
	f.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		f.poll()
		if r, ok := f.got[id]; ok {
			delete(f.got, id)
			return r
		}
		if more, err := f.ring.Arm(1); err != nil {
			f.t.Fatal(err)
		} else if more {
			continue
		}
		if time.Now().After(end) {
			f.t.Fatalf("request %#x is not answered", id)
		}
		f.port.Wait()
	}
}

// do makes one request and returns its status.
func (f *frontRing) do(r blkif.Request) blkif.Status {
	f.t.Helper()
	id := f.send(&r)
	f.push()
	rsp := f.await(id)
	if rsp.Op != r.Op {
		f.t.Errorf("operation %d is answered as %d", r.Op, rsp.Op)
	}
	return rsp.Status
}

// data makes a request for the given pages, whole or in part, indirect when there are
// more than fit in a slot.
func (f *frontRing) data(op blkif.Op, sector uint64, segs []blkif.Segment) blkif.Request {
	r := blkif.Request{Op: op, Sector: sector, Count: len(segs)}
	if len(segs) <= blkif.MaxSegments {
		copy(r.Segments[:], segs)
		return r
	}
	r.Indirect = true
	for i := 0; i < len(segs); i += blkif.SegmentsPerPage {
		p := f.g.Page()
		f.t.Cleanup(func() { f.g.Revoke(p) })
		part := segs[i:min(i+blkif.SegmentsPerPage, len(segs))]
		blkif.EncodeSegments(p.Bytes, part)
		r.Pages[i/blkif.SegmentsPerPage] = p.Ref
	}
	return r
}

func whole(pages []backtest.Page) []blkif.Segment {
	var s []blkif.Segment
	for _, p := range pages {
		s = append(s, blkif.Segment{Ref: p.Ref, Last: 7})
	}
	return s
}

func guestPages(g *backtest.Guest, n int) []backtest.Page {
	var p []backtest.Page
	for range n {
		p = append(p, g.Page())
	}
	return p
}

// testPort is a bound event channel without a link.
type testPort struct {
	backends.PolledEvents
	port abi.Port
}

func (p testPort) Take() (bool, error) { _, ok, err := p.PolledEvents.Take(); return ok, err }
func (p testPort) Unmask() error       { return p.PolledEvents.Unmask(p.port) }
func (p testPort) Notify() error       { return p.PolledEvents.Notify(p.port) }

// testQueue makes a queue that serves f from the journal, without a manager.
func testQueue(t testing.TB, m *backtest.Machine, f *frontRing, d disk.Disk, j *journal, resume bool) *queue {
	t.Helper()
	g, err := m.OpenGrants()
	if err != nil {
		t.Fatal(err)
	}
	mem, err := g.Map(f.g.Dom, f.refs())
	if err != nil {
		t.Fatal(err)
	}
	e, err := m.OpenPolledEvents()
	if err != nil {
		t.Fatal(err)
	}
	port, err := e.BindInterdomain(f.g.Dom, f.port.ID)
	if err != nil {
		t.Fatal(err)
	}
	copies, err := g.NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(mem.Close(), g.Close(), e.Close()); err != nil {
			t.Error(err)
		}
	})
	return &queue{
		dom: f.g.Dom, layout: f.layout, disk: d, direct: d, mark: func(_, _ int64) {}, stats: &counters{}, mem: mem, port: testPort{e, port}, copies: copies,
		journal: sections(j.mem, j.params)[0], resume: resume, workers: 4, bufs: newBuffers(16 << 20), clock: newClock(),
		limits: func() blkif.Disk {
			return blkif.Disk{Sectors: uint64(d.Size()) / 512, SectorSize: 512, Discard: true, MaxIndirect: maxIndirect}
		},
	}
}

func (f *frontRing) refs() []abi.GrantRef {
	var refs []abi.GrantRef
	for _, p := range f.pages {
		refs = append(refs, p.Ref)
	}
	return refs
}

func testJournal(t testing.TB, f *frontRing) *journal {
	t.Helper()
	p := &params{id: newConnectionID(), layout: f.layout, pages: len(f.pages), queues: []queueParams{{port: f.port.ID, refs: f.refs()}}}
	j, err := createJournal(filepath.Join(t.TempDir(), "journal"), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.close() })
	return j
}

// running starts a queue and returns what stops it and gives its error.
func running(t testing.TB, q *queue) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- errors.Join(q.serve(ctx), q.port.(testPort).Close()) }()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() { cancel(); err = <-done })
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

// serving is a served ring of a fresh guest, for most tests.
func serving(t testing.TB, d disk.Disk, layout blkif.Layout, pages int) (*frontRing, *queue, func() error) {
	m := backtest.New(t)
	f := newFrontRing(t, m.Guest(7), layout, pages)
	q := testQueue(t, m, f, d, testJournal(t, f), false)
	return f, q, running(t, q)
}
