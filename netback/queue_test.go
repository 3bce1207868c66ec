//go:build linux

package netback

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goxl/backends/ring"
	"goxl/netback/netif"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/gnttab"
)

func mkdir(t *testing.T, parts ...string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(parts...), 0o755); err != nil {
		t.Fatal(err)
	}
}

// silent is an event channel that never has an event.
type silent struct{ notified int }

func (s *silent) FD() int             { return -1 }
func (s *silent) Take() (bool, error) { return false, nil }
func (s *silent) Wait() error         { select {} }
func (s *silent) Unmask() error       { return nil }
func (s *silent) Notify() error       { s.notified++; return nil }
func (s *silent) Close() error        { return nil }

// pages returns the same memory twice, as guest and backend have it.
func pages(t testing.TB) (guest, back []byte) {
	t.Helper()
	fd, err := unix.MemfdCreate("ring", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, abi.PageSize); err != nil {
		t.Fatal(err)
	}
	view := func() []byte {
		b, err := unix.Mmap(fd, 0, abi.PageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Munmap(b) })
		return b
	}
	return view(), view()
}

func arena(t testing.TB, n int) []byte {
	b, err := newArena(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = freeArena(b) })
	return b
}

func testSession() *session {
	return &session{dom: 7, rate: &bucket{}, counters: &counters{}}
}

// copies is a hypervisor in which every reference is the same page.
func copies(page []byte) *gnttab.Batch {
	return gnttab.NewBatchFunc(func(ops []*gnttab.Op) error {
		for _, o := range ops {
			if o.ToGrant {
				copy(page[o.Offset:], o.Local)
			} else {
				copy(o.Local, page[o.Offset:])
			}
			o.Status = abi.GrantOK
		}
		return nil
	})
}

func newTx(t testing.TB, s *session, out tapQueue, mem, journalMem []byte) *txQueue {
	q := &txQueue{vif: s, tap: out, batch: copies(make([]byte, abi.PageSize)), port: &silent{},
		arena: arena(t, txArena), journal: newJournal(journalMem, 0, false)}
	var err error
	if q.back, err = ring.NewBack(mem, netif.TxSlotSize); err != nil {
		t.Fatal(err)
	}
	return q
}

// sendAll sends n packets and answers them.
func sendAll(q *txQueue, n int) error {
	err := q.send(n)
	q.flush()
	return err
}

// TestKilledBetweenAnswers kills the backend at the worst moment: responses are in
// the slots and the guest does not know. The next process answers each request once,
// with its own id, and takes none of the responses for requests.
func TestKilledBetweenAnswers(t *testing.T) {
	guest, back := pages(t)
	front, _ := ring.NewFront(guest, netif.TxSlotSize)
	journalMem := make([]byte, journalQueue)
	out := newFakeTap(offloads(testSession().accepts))
	q := newTx(t, testSession(), out, back, journalMem)
	send := func(id uint16) {
		b := make([]byte, netif.TxSlotSize)
		netif.TxRequest{Ref: 5, ID: id, Size: 60}.Put(b)
		front.Put(b)
		front.Publish()
	}
	answers := func() (ids []uint16) {
		b := make([]byte, netif.TxSlotSize)
		for {
			ok, err := front.Next(b)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				return ids
			}
			ids = append(ids, netif.ParseTxResponse(b).ID)
		}
	}
	for id := uint16(1); id <= 5; id++ {
		send(id)
	}
	n, _, err := q.collect()
	if err := sendAll(q, n); err != nil || n != 5 {
		t.Fatal(n, err)
	}
	if err != nil || len(answers()) != 5 {
		t.Fatal("the first five are not answered", err)
	}
	for id := uint16(11); id <= 14; id++ {
		send(id)
	}
	// What send does, up to the moment before the answers are shown.
	if n, _, err = q.collect(); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	q.journal.note(q.back.Answered(), []uint16{11, 12, 13})
	for range 3 {
		q.put(11, netif.StatusOK) // the ids in the slots are not what counts
	}

	sent := len(out.sent())
	next := newTx(t, testSession(), out, back, journalMem)
	if err := next.resume(true); err != nil {
		t.Fatal(err)
	}
	if n := next.port.(*silent).notified; n != 1 {
		t.Errorf("the guest is told %d times", n)
	}
	if n, _, err = next.collect(); n != 1 || err != nil {
		t.Fatalf("%d requests are left, %v", n, err)
	}
	if err := sendAll(next, n); err != nil {
		t.Fatal(err)
	}
	got := answers()
	if len(got) != 4 || got[0] != 11 || got[1] != 12 || got[2] != 13 || got[3] != 14 {
		t.Errorf("answers to %v", got)
	}
	if n := len(out.sent()) - sent; n != 1 {
		t.Errorf("%d frames sent for one request", n)
	}
}

// TestKilledBetweenFrames is the same for the receive ring, where a response that is
// taken for a request would name a page that the guest did not lend.
func TestKilledBetweenFrames(t *testing.T) {
	guest, back := pages(t)
	front, _ := ring.NewFront(guest, netif.RxSlotSize)
	journalMem := make([]byte, journalQueue)
	b := make([]byte, netif.RxSlotSize)
	for id := uint16(40); id < 46; id++ {
		netif.RxRequest{ID: id, Ref: 9}.Put(b)
		front.Put(b)
	}
	front.Publish()
	open := func() *rxQueue {
		r, err := ring.NewBack(back, netif.RxSlotSize)
		if err != nil {
			t.Fatal(err)
		}
		return &rxQueue{vif: testSession(), back: r, port: &silent{}, journal: newJournal(journalMem, 0, true)}
	}
	q := open()
	if err := q.resume(false); err != nil {
		t.Fatal(err)
	}
	var ids []uint16
	for range 3 {
		if ok, err := q.back.Next(b); !ok || err != nil {
			t.Fatal(ok, err)
		}
		ids = append(ids, netif.ParseRxRequest(b).ID)
	}
	q.journal.note(q.back.Answered(), ids)
	e := netif.Extra{Type: netif.ExtraGSO, GSO: 1, SegmentSize: 1448} // as a request: page 1
	e.Put(b)
	q.back.Put(b)
	q.back.Put(b)

	next := open()
	if err := next.resume(true); err != nil {
		t.Fatal(err)
	}
	for id := uint16(40); id < 43; id++ {
		if ok, err := front.Next(b); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if r := netif.ParseRxResponse(b); r != (netif.RxResponse{ID: id, Status: netif.StatusError}) {
			t.Errorf("answer %+v, want an error for %d", r, id)
		}
	}
	for id := uint16(43); id < 46; id++ {
		if ok, err := next.back.Next(b); !ok || err != nil || netif.ParseRxRequest(b) != (netif.RxRequest{ID: id, Ref: 9}) {
			t.Errorf("request %d is %x, %v, %v", id, b, ok, err)
		}
	}
}

func TestJournalIsBounded(t *testing.T) {
	j := newJournal(make([]byte, 2*journalQueue), 1, true)
	j.note(1<<32-2, []uint16{1, 2, 3})
	if ids := j.lost(1<<32 - 2); len(ids) != 3 || ids[2] != 3 {
		t.Errorf("lost %v across the wrap", ids)
	}
	for _, at := range []uint32{1, 2, 1 << 31, 1<<32 - 300} {
		if ids := j.lost(at); len(ids) != 0 {
			t.Errorf("lost %d from %d on", len(ids), at)
		}
	}
}

func TestParseLimit(t *testing.T) {
	for s, want := range map[string]limit{
		"": {}, "1000,50000": {1000, 50 * time.Millisecond}, "0,0": {}, "5,0": {}, "0,5": {},
	} {
		if l, err := parseLimit(s); err != nil || l != want {
			t.Errorf("%q is %+v, %v", s, l, err)
		}
	}
	for _, s := range []string{"10", "10,", ",10", "a,b", "-1,5", "1,5,7", "1,99999999999", "1 ,2"} {
		if l, err := parseLimit(s); err == nil {
			t.Errorf("%q is taken as %+v", s, l)
		}
	}
}

func TestBucket(t *testing.T) {
	start := time.Unix(0, 0)
	var b bucket
	if w := b.take(65535, start); w != 0 {
		t.Errorf("no limit, and to wait for %v", w)
	}
	b.set(limit{1000, time.Second}, start)
	if w := b.take(minBurst, start); w != 0 {
		t.Errorf("a full bucket, and to wait for %v", w)
	}
	if w := b.take(500, start); w != 500*time.Millisecond {
		t.Errorf("to wait for %v", w)
	}
	if w := b.take(500, start.Add(500*time.Millisecond)); w != 0 {
		t.Errorf("after the wait, to wait for %v", w)
	}
	if w := b.take(1, start.Add(500*time.Millisecond)); w == 0 {
		t.Error("taken twice")
	}
	later := start.Add(1000 * time.Hour)
	if w := b.take(minBurst, later); w != 0 {
		t.Errorf("after a long time, to wait for %v", w)
	}
	if w := b.take(minBurst, later); w == 0 {
		t.Error("the bucket overflows")
	}
}

// FuzzTxQueue puts anything into the ring's memory: each step ends, and what is taken
// is answered.
func FuzzTxQueue(f *testing.F) {
	b := make([]byte, 64+12*4)
	b[0] = 3
	netif.TxRequest{Ref: 1, Size: 100, Flags: netif.TxExtraInfo}.Put(b[64:])
	b[76] = byte(netif.ExtraGSO)
	netif.TxRequest{Ref: 1, Size: 60, ID: 7}.Put(b[88:])
	f.Add(b)
	out := discard{}
	f.Fuzz(func(t *testing.T, mem []byte) {
		_, back := pages(t)
		q := newTx(t, testSession(), out, back, make([]byte, journalQueue))
		copy(back, mem)
		copy(back[8:], []byte{0, 0, 0, 0}) // the backend's own index
		for range 10 {
			n, _, bad := q.collect()
			if err := sendAll(q, n); err != nil {
				t.Fatal(err)
			}
			if q.held && n > 0 {
				q.pkt[0] = q.pkt[n]
			}
			if bad != nil || n == 0 {
				break
			}
			if o := q.back.Outstanding(); !q.held && o != 0 {
				t.Fatalf("%d requests are taken and not answered", o)
			}
		}
	})
}

// discard is an interface that takes everything.
type discard struct{}

func (discard) FD() int                     { return -1 }
func (discard) TryRead([]byte) (int, error) { return 0, nil }
func (discard) Write([]byte) error          { return nil }
func (discard) SetCarrier(bool) error       { return nil }
func (discard) Close() error                { return nil }
