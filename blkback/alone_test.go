package blkback

import (
	"testing"
	"time"

	"goxl/backends/backtest"
	"goxl/blkback/blkif"
)

// TestAloneNoMore has a guest make one request at a time for a while, and then two: the
// second waits for the first once, and never again.
func TestAloneNoMore(t *testing.T) {
	d := &memDisk{b: make([]byte, 1<<20)}
	m := backtest.New(t)
	f := newFrontRing(t, m.Guest(7), blkif.X86_64, 1)
	q := testQueue(t, m, f, d, testJournal(t, f), false)
	q.clock = func() time.Duration { return 0 } // on a busy machine anything may take long
	stop := running(t, q)
	p := guestPages(f.g, 4)
	for range 3 * aloneAfter {
		if s := f.do(f.data(blkif.Read, 0, whole(p[:1]))); s != blkif.OK {
			t.Fatal(s)
		}
	}
	hold := func() (free func()) {
		gate := make(chan struct{})
		d.mu.Lock()
		d.gate = gate
		d.mu.Unlock()
		return func() {
			d.mu.Lock()
			d.gate = nil
			d.mu.Unlock()
			close(gate)
		}
	}
	send := func(n int) uint64 {
		r := f.data(blkif.Read, uint64(8*n), whole(p[n:n+1]))
		id := f.send(&r)
		f.push()
		return id
	}
	answered := func(ids ...uint64) {
		t.Helper()
		for _, id := range ids {
			if rsp := f.await(id); rsp.Status != blkif.OK {
				t.Errorf("%+v", rsp)
			}
		}
	}
	for round, want := range []int64{1, 2} {
		free := hold()
		first := send(0)
		spin(t, func() bool { return q.stats.inflight.Load() == 1 })
		second := send(1)
		if want == 2 {
			spin(t, func() bool { return q.stats.inflight.Load() == 2 })
		} else if time.Sleep(20 * time.Millisecond); q.stats.inflight.Load() != want {
			t.Errorf("round %d: %d requests are under way, want %d", round, q.stats.inflight.Load(), want)
		}
		free()
		answered(first, second)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
