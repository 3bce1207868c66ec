package blkback

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"goxl/backends/backtest"
	"goxl/backends/ring"
	"goxl/blkback/blkif"
	"goxl/blkback/disk"
	"goxl/xenctrl/abi"
)

// TestDataIsWhatWasWritten makes random requests of all sizes, many at a time, and
// holds what is read to a copy of the disk, in both layouts and rings of several pages.
func TestDataIsWhatWasWritten(t *testing.T) {
	for _, tt := range []struct {
		layout blkif.Layout
		pages  int
	}{{blkif.X86_64, 1}, {blkif.X86_32, 1}, {blkif.X86_64, 4}} {
		t.Run(fmt.Sprintf("layout %d, %d pages", tt.layout, tt.pages), func(t *testing.T) {
			d := &memDisk{b: make([]byte, 8<<20)}
			f, q, stop := serving(t, d, tt.layout, tt.pages)
			shadow := make([]byte, len(d.b))
			rng := rand.New(rand.NewPCG(1, uint64(tt.pages)))
			pages := guestPages(f.g, 256)
			noise := rand.NewChaCha8([32]byte{byte(tt.pages)})
			for range 25 {
				// Requests of a burst are on places of their own, so their order is free.
				type sent struct {
					id    uint64
					r     blkif.Request
					pages []backtest.Page
					data  []byte
				}
				var burst []sent
				free, at := pages, uint64(rng.IntN(1024))
				for n := 1 + rng.IntN(20); n > 0 && f.ring.Free() > 0; n-- {
					k := 1 + rng.IntN(11)
					if rng.IntN(8) == 0 {
						k = 12 + rng.IntN(60)
					}
					if k > len(free) || int(at)*512+k*4096 > len(d.b) {
						break
					}
					op := blkif.Op(rng.IntN(2))
					r := f.data(op, at, whole(free[:k]))
					s := sent{r: r, pages: free[:k], data: make([]byte, 4096*k)}
					if op == blkif.Write {
						_, _ = noise.Read(s.data)
						for i, p := range s.pages {
							copy(p.Bytes, s.data[4096*i:])
						}
						copy(shadow[at*512:], s.data)
					} else {
						copy(s.data, shadow[at*512:])
					}
					s.id = f.send(&s.r)
					burst, free, at = append(burst, s), free[k:], at+uint64(8*k)
				}
				f.push()
				for _, s := range burst {
					if rsp := f.await(s.id); rsp.Status != blkif.OK || rsp.Op != s.r.Op {
						t.Fatalf("%+v is answered %+v", s.r, rsp)
					}
					for i, p := range s.pages {
						if !bytes.Equal(p.Bytes, s.data[4096*i:][:4096]) {
							t.Fatalf("op %d at sector %d: page %d holds other data", s.r.Op, s.r.Sector, i)
						}
					}
				}
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
			if !bytes.Equal(d.b, shadow) {
				t.Error("the disk holds other data")
			}
			s := q.stats.snapshot()
			if s.Read.Requests == 0 || s.Write.Bytes == 0 || s.Errors+s.Refused != 0 || s.InFlight != 0 {
				t.Errorf("counted %+v", s)
			}
		})
	}
}

func TestPartsOfPages(t *testing.T) {
	d := &memDisk{b: make([]byte, 1<<20)}
	f, _, _ := serving(t, d, blkif.X86_64, 1)
	p := guestPages(f.g, 2)
	for i := range p[0].Bytes {
		p[0].Bytes[i], p[1].Bytes[i] = byte(i/512+1), byte(i/512+0x11)
	}
	segs := []blkif.Segment{{Ref: p[0].Ref, First: 3, Last: 4}, {Ref: p[1].Ref, First: 7, Last: 7}}
	if s := f.do(f.data(blkif.Write, 100, segs)); s != blkif.OK {
		t.Fatal(s)
	}
	for i, want := range []byte{4, 5, 0x18, 0} {
		if got := d.at((100 + i) * 512); got != want {
			t.Errorf("sector %d starts with %#x, want %#x", 100+i, got, want)
		}
	}
	before := slices.Clone(p[0].Bytes)
	if s := f.do(f.data(blkif.Read, 100, segs[1:])); s != blkif.OK {
		t.Fatal(s)
	}
	if p[1].Bytes[7*512] != 4 || p[1].Bytes[6*512] != 0x17 || !bytes.Equal(before, p[0].Bytes) {
		t.Error("a read changed what it was not asked to, or not what it was")
	}
}

func TestFlushBarrierDiscard(t *testing.T) {
	d := &memDisk{b: bytes.Repeat([]byte{9}, 1<<20), record: true}
	f, q, stop := serving(t, d, blkif.X86_64, 1)
	p := guestPages(f.g, 3)
	var ids []uint64
	for _, r := range []blkif.Request{
		f.data(blkif.Write, 0, whole(p[:1])),
		f.data(blkif.Write, 8, whole(p[1:2])),
		f.data(blkif.Barrier, 16, whole(p[2:])),
		f.data(blkif.Write, 24, whole(p[:1])),
		{Op: blkif.Flush},
		{Op: blkif.Discard, Sector: 64, Sectors: 8},
		{Op: blkif.Barrier},
	} {
		ids = append(ids, f.send(&r))
	}
	f.push()
	for _, id := range ids {
		if rsp := f.await(id); rsp.Status != blkif.OK {
			t.Errorf("%+v", rsp)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	got := d.order
	slices.Sort(got[:2]) // in any order, but before the barrier
	if len(got) != 9 || !slices.Equal(got[:5], []string{"write 0", "write 4096", "flush 0", "write 8192", "flush 0"}) || got[8] != "flush 0" {
		t.Errorf("the disk saw %q", got)
	}
	if d.at(64*512) != 0 || d.at(72*512) != 9 {
		t.Error("not exactly the discarded sectors are gone")
	}
	if s := q.stats.snapshot(); s.Flush.Requests != 3 || s.Discard.Bytes != 4096 {
		t.Errorf("counted %+v", s)
	}
}

// TestHostErrors fails the disk: the guest gets an error and no data, and the next
// request is served.
func TestHostErrors(t *testing.T) {
	d := &memDisk{b: bytes.Repeat([]byte{9}, 1<<20), fail: errors.New("medium is gone")}
	f, q, _ := serving(t, d, blkif.X86_64, 1)
	p := guestPages(f.g, 1)
	for _, op := range []blkif.Op{blkif.Read, blkif.Write, blkif.Barrier, blkif.Flush} {
		if s := f.do(f.data(op, 0, whole(p))); s != blkif.Error {
			t.Errorf("operation %d: %d", op, s)
		}
	}
	if p[0].Bytes[0] != 0 {
		t.Error("a failed read gave data")
	}
	d.mu.Lock()
	d.fail = errors.ErrUnsupported
	d.mu.Unlock()
	if s := f.do(blkif.Request{Op: blkif.Discard, Sectors: 8}); s != blkif.Unsupported {
		t.Errorf("discard that the disk cannot: %d", s)
	}
	d.mu.Lock()
	d.fail = nil
	d.mu.Unlock()
	if s := f.do(f.data(blkif.Read, 0, whole(p))); s != blkif.OK || p[0].Bytes[0] != 9 {
		t.Errorf("after the failures: %d", s)
	}
	if s := q.stats.snapshot(); s.Errors != 4 || s.Refused != 0 {
		t.Errorf("counted %+v", s)
	}
}

// TestMisbehaviour sends what no guest may. Each request is refused by itself, and the
// ring is served on.
func TestMisbehaviour(t *testing.T) {
	d := &memDisk{b: make([]byte, 1<<20)}
	f, q, _ := serving(t, d, blkif.X86_64, 1)
	p := guestPages(f.g, 4)
	ro := f.g.ReadOnlyPage()
	revoked := f.g.Page()
	f.g.Revoke(revoked)
	seg := blkif.Segment{Ref: p[0].Ref, Last: 7}
	bad := func(edit func(r *blkif.Request)) blkif.Request {
		r := f.data(blkif.Write, 0, []blkif.Segment{seg, seg, seg})
		edit(&r)
		return r
	}
	for name, r := range map[string]blkif.Request{
		"255 segments":                bad(func(r *blkif.Request) { r.Count = 255 }),
		"no segments":                 bad(func(r *blkif.Request) { r.Count = 0 }),
		"last before first":           bad(func(r *blkif.Request) { r.Segments[1] = blkif.Segment{Ref: p[0].Ref, First: 7} }),
		"beyond the page":             bad(func(r *blkif.Request) { r.Segments[1].Last = 255 }),
		"beyond the disk":             bad(func(r *blkif.Request) { r.Sector = 2048 - 23 }),
		"the last sector there is":    bad(func(r *blkif.Request) { r.Sector = 1<<64 - 1 }),
		"a grant never made":          bad(func(r *blkif.Request) { r.Segments[2].Ref = 0xfffffff0 }),
		"a revoked grant":             bad(func(r *blkif.Request) { r.Segments[0].Ref = revoked.Ref }),
		"reading to a read-only page": bad(func(r *blkif.Request) { r.Op, r.Segments[1].Ref = blkif.Read, ro.Ref }),
		"an unknown operation":        bad(func(r *blkif.Request) { r.Op = 99 }),
		"indirect from nowhere":       {Op: blkif.Read, Indirect: true, Count: 20, Pages: [8]abi.GrantRef{0xffffff}},
		"indirect without end":        {Op: blkif.Read, Indirect: true, Count: 65535, Pages: [8]abi.GrantRef{p[0].Ref}},
		"indirect and empty":          {Op: blkif.Read, Indirect: true, Pages: [8]abi.GrantRef{p[0].Ref}},
		"indirect and all zero":       {Op: blkif.Read, Indirect: true, Count: 3, Pages: [8]abi.GrantRef{p[3].Ref}},
		"discard of everything":       {Op: blkif.Discard, Sectors: 1<<64 - 1},
		"secure discard":              {Op: blkif.Discard, Sectors: 8, Secure: true},
	} {
		if s := f.do(r); s == blkif.OK {
			t.Errorf("%s: was done", name)
		}
		if s := f.do(bad(func(*blkif.Request) {})); s != blkif.OK {
			t.Errorf("after %s a good request ends in %d", name, s)
		}
	}
	// The same id as often as one likes: the backend has no use of it.
	for range 3 {
		r := bad(func(*blkif.Request) {})
		f.next--
		if s := f.do(r); s != blkif.OK {
			t.Error(s)
		}
	}
	if s := q.stats.snapshot(); s.Errors != 0 || s.Refused == 0 {
		t.Errorf("counted %+v", s)
	}
}

// TestBrokenRingEndsTheQueue breaks the ring while requests are under way: they end,
// and nothing is held.
func TestBrokenRingEndsTheQueue(t *testing.T) {
	d := &memDisk{b: make([]byte, 1<<20), gate: make(chan struct{})}
	m := backtest.New(t)
	f := newFrontRing(t, m.Guest(7), blkif.X86_64, 1)
	q := testQueue(t, m, f, d, testJournal(t, f), false)
	done := make(chan error, 1)
	go func() { done <- q.serve(t.Context()) }()
	r := f.data(blkif.Write, 0, whole(guestPages(f.g, 2)))
	f.send(&r)
	f.push()
	spin(t, func() bool { return q.stats.inflight.Load() == 1 })
	binary.LittleEndian.PutUint32(f.pages[0].Bytes, 1<<30)
	f.port.Notify()
	close(d.gate)
	if err := <-done; !errors.Is(err, ring.ErrRing) {
		t.Errorf("serve() = %v", err)
	}
	if q.bufs.total != 0 || q.stats.inflight.Load() != 0 {
		t.Errorf("%d bytes of buffers are left, %d requests in flight", q.bufs.total, q.stats.inflight.Load())
	}
}

// TestBrokenRingBesideWhatWaits breaks the ring while writes wait for room and for their
// limit.
func TestBrokenRingBesideWhatWaits(t *testing.T) {
	for name, p := range map[string]Policy{
		"for room":      {Pause: true},
		"for the limit": {Limits: disk.Limits{Write: disk.Rate{IOPS: 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			d := &memDisk{b: make([]byte, 1<<20), fail: syscall.ENOSPC}
			m := backtest.New(t)
			f := newFrontRing(t, m.Guest(7), blkif.X86_64, 1)
			q := testQueue(t, m, f, d, testJournal(t, f), false)
			q.gov = newGovernor(nil)
			q.gov.set(p)
			done := make(chan error, 1)
			go func() { done <- q.serve(t.Context()) }()
			for n := range 9 {
				r := f.data(blkif.Write, uint64(8*n), whole(guestPages(f.g, 1)))
				f.send(&r)
			}
			f.push()
			spin(t, func() bool { return q.stats.inflight.Load() >= 8 && (!p.Pause || q.stats.stalled.Load() >= 9) })
			binary.LittleEndian.PutUint32(f.pages[0].Bytes, 1<<30)
			f.port.Notify()
			select {
			case err := <-done:
				if !errors.Is(err, ring.ErrRing) {
					t.Errorf("serve() = %v", err)
				}
			case <-time.After(5 * time.Second):
				t.Fatal("the queue waits for what cannot be")
			}
			if q.bufs.total != 0 || q.stats.inflight.Load() != 0 {
				t.Errorf("%d bytes of buffers are left, %d requests in flight", q.bufs.total, q.stats.inflight.Load())
			}
		})
	}
}

// TestFewBuffers lets big requests wait for each other's memory.
func TestFewBuffers(t *testing.T) {
	d := &memDisk{b: make([]byte, 8<<20)}
	m := backtest.New(t)
	f := newFrontRing(t, m.Guest(7), blkif.X86_64, 1)
	q := testQueue(t, m, f, d, testJournal(t, f), false)
	q.bufs.limit = 64 << 10
	stop := running(t, q)
	pages := guestPages(f.g, 200)
	var ids []uint64
	for n := range 30 {
		segs := whole(pages[:1+n*6])
		r := f.data(blkif.Op(n%2), uint64(n*8), segs)
		ids = append(ids, f.send(&r))
	}
	f.push()
	for _, id := range ids {
		if rsp := f.await(id); rsp.Status != blkif.OK {
			t.Errorf("%+v", rsp)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if q.stats.waited.Load() == 0 {
		t.Error("no request waited, so the test shows nothing")
	}
	if q.bufs.total != 0 || q.bufs.lent != 0 {
		t.Errorf("%d bytes of buffers left, %d lent", q.bufs.total, q.bufs.lent)
	}
}

// TestKilled plays the death of a process at a moment with requests in every state,
// and a second one that goes on from the journal. The first one's I/O never happens:
// that is what the lock is for that a new process waits for.
func TestKilled(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { killedOnce(t, rand.New(rand.NewPCG(seed, 7))) })
	}
}

func killedOnce(t *testing.T, rng *rand.Rand) {
	const size = 1 << 20
	d := &memDisk{b: make([]byte, size)}
	m := backtest.New(t)
	f := newFrontRing(t, m.Guest(7), blkif.X86_64, 1)
	j := testJournal(t, f)
	q := testQueue(t, m, f, d, j, false)
	stop := running(t, q)
	pages := guestPages(f.g, 32)
	want := make([]byte, size)
	send := func(n int) uint64 { // fills a place of its own
		for i := range pages[n%32].Bytes {
			pages[n%32].Bytes[i] = byte(rng.Uint32())
		}
		r := f.data(blkif.Write, uint64(n)*8, whole(pages[n%32:n%32+1]))
		copy(want[n*4096:], pages[n%32].Bytes)
		return f.send(&r)
	}
	// Some are answered, and of these the guest has seen some.
	var ids []uint64
	seen := map[uint64]bool{}
	for n := range 1 + rng.IntN(20) {
		ids = append(ids, send(n))
	}
	f.push()
	for _, id := range ids[:rng.IntN(len(ids))] {
		f.await(id)
		seen[id] = true
	}
	spin(t, func() bool { f.poll(); return len(f.got)+len(seen) == len(ids) })
	// Some hang in the disk.
	d.mu.Lock()
	gate := make(chan struct{})
	d.gate = gate
	d.mu.Unlock()
	hung, late := rng.IntN(4), rng.IntN(5)
	for range hung {
		ids = append(ids, send(len(ids)))
	}
	f.push()
	spin(t, func() bool { return int(q.stats.inflight.Load()) == hung })
	// Some are in the ring, and the dead process did not look at them.
	if err := q.port.(testPort).Close(); err != nil {
		t.Fatal(err)
	}
	for range late {
		ids = append(ids, send(len(ids)))
	}
	f.push()

	// The next process has the same disk, and a copy of the journal, since the first
	// one is not really dead here.
	after := &memDisk{b: slices.Clone(d.b)}
	j2 := &journal{mem: slices.Clone(j.mem), params: j.params}
	q2 := testQueue(t, m, f, after, j2, true)
	stop2 := running(t, q2)
	for _, id := range ids {
		if !seen[id] {
			if rsp := f.await(id); rsp.Status != blkif.OK {
				t.Errorf("%+v", rsp)
			}
		}
	}
	if got := int(q2.stats.replayed.Load()); got != hung {
		t.Errorf("%d requests done once more, want %d", got, hung)
	}
	more := send(len(ids)) // and on it goes
	f.push()
	f.await(more)
	if err := stop2(); err != nil {
		t.Error(err)
	}
	if f.poll(); len(f.got) > 0 {
		t.Errorf("answers to nobody: %v", f.got)
	}
	if !bytes.Equal(after.b, want) {
		t.Error("the disk lacks what was written")
	}
	d.mu.Lock()
	d.fail, d.gate = errors.New("this process is dead"), nil
	d.mu.Unlock()
	close(gate)
	_ = stop()
}

// spin waits for a condition.
func spin(t *testing.T, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come to pass")
		}
	}
}

// TestEndlessGuest ends a queue whose guest never leaves the ring empty, with requests
// that are refused at once: it is not for the guest to say when it ends.
func TestEndlessGuest(t *testing.T) {
	m := backtest.New(t)
	f := newFrontRing(t, m.Guest(7), blkif.X86_64, 16)
	q := testQueue(t, m, f, &memDisk{b: make([]byte, 1<<20)}, testJournal(t, f), false)
	ctx, cancel := context.WithCancel(t.Context())
	var stop atomic.Bool
	reqProd, rspProd := f.word(0), f.word(8)
	taken := 0
	clock := q.clock
	q.clock = func() time.Duration { // is asked before requests are taken: as fast as any guest
		if taken++; taken == 500 {
			cancel()
		}
		if !stop.Load() {
			atomic.StoreUint32(reqProd, atomic.LoadUint32(rspProd)+f.ring.Size())
		}
		return clock()
	}
	for range f.ring.Size() {
		f.send(&blkif.Request{Op: 9}) // an answer in its place has 9 there, too
	}
	f.push()
	done := make(chan error, 1)
	go func() { done <- q.serve(ctx) }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("serve() = %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("still serves the guest, ten seconds after it was told to end")
		stop.Store(true)
		<-done
	}
}
