package netback

import (
	"errors"
	"fmt"
	"time"

	"goxl/backends/ring"
	"goxl/netback/netif"
	"goxl/netback/packet"
	"goxl/netback/tap"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/gnttab"
)

// Sizes of a batch to the guest. Any frame finds room as long as the arena has
// tap.MaxRead left. A frame starts where a page does, as it will in the guest: of a page
// that lies in two of ours the kernel makes two copies.
const (
	rxBatch = 64
	rxArena = rxBatch*abi.PageSize + tap.MaxRead + abi.PageSize
)

// rxRoom returns where in the arena a header goes when everything before end is taken.
func rxRoom(end int) int {
	return (end+packet.VNetSize+abi.PageSize-1)&^(abi.PageSize-1) - packet.VNetSize
}

// patience is for how long frames wait for a guest that gives no pages.
type patience struct {
	drain   time.Duration // then frames are dropped at once, until it gives some
	carrier time.Duration // then the interface loses its carrier; zero: never
	poll    time.Duration // how often to look; zero: the guest sends events
}

// The waits are those of the kernel's backend.
var (
	patient = patience{drain: 10 * time.Second, carrier: 60 * time.Second}
	polling = patience{drain: 30 * time.Millisecond, poll: 5 * time.Millisecond}
)

// rxFrame is a frame of a batch.
type rxFrame struct {
	packet.Rx
	b []byte
}

// rxQueue carries frames from the tap to the guest.
type rxQueue struct {
	vif     *session
	tap     tapQueue
	back    *ring.Back
	batch   *gnttab.Batch
	port    port
	journal journal
	arena   []byte
	wait    patience
	number  int    // of the queue
	inbox   inbox  // frames that other queues' streams brought
	rest    []byte // what was taken out of it and is not dealt with

	frame  [rxBatch]rxFrame
	next   int // frame to deliver
	frames int // and behind the last one
	slots  int // taken and not answered
	slot   [journalSlots][netif.RxSlotSize]byte
	ids    [journalSlots]uint16
	opSlot []int // of each copy

	look    bool      // there may be a frame
	since   time.Time // that frames wait for pages; zero: they do not
	stalled time.Time // since when frames are dropped at once; zero: they are not
	dark    bool      // the interface has no carrier because of that
}

// start attaches to the ring in mem.
func (q *rxQueue) start(mem []byte, resumed bool) (err error) {
	if q.back, err = ring.NewBack(mem, netif.RxSlotSize); err == nil {
		err = q.resume(resumed)
	}
	q.look = true
	return q.failed(err)
}

func (q *rxQueue) failed(err error) error {
	if errors.Is(err, ring.ErrRing) {
		return fmt.Errorf("receive ring: %w", err)
	}
	return err
}

// end is the end of serving.
func (q *rxQueue) end() {
	q.vif.counters.rxStalled.Add(uint64(q.frames - q.next))
	if q.dark {
		q.vif.carrier(+1)
	}
}

// step carries a batch, or a part of it, and reports false when there is nothing to do
// now: there is no frame, or no page for it.
func (q *rxQueue) step() (bool, error) {
	if q.dark {
		light, err := q.lighten()
		return light, q.failed(err)
	}
	if q.next == q.frames {
		if !q.look {
			return false, nil
		}
		if err := q.fill(); err != nil {
			return false, err
		}
	}
	came := q.next < q.frames
	err := q.deliver()
	if q.longStalled() {
		q.vif.carrier(-1)
		q.dark = true
	}
	if q.since.IsZero() {
		return came || q.look, q.failed(err)
	}
	return false, q.failed(err)
}

// arm asks for an event, when one is wanted, and reports whether there is more to do
// already.
func (q *rxQueue) arm() (wants, more bool, err error) {
	var need uint32
	switch {
	case q.dark:
		need = packet.MaxRxSlots
	case q.next < q.frames:
		need = uint32(q.frame[q.next].Slots())
	default:
		return false, false, nil
	}
	more, err = q.back.Arm(need)
	return true, more, q.failed(err)
}

// limit is for how long to wait for pages at most; zero is for ever.
func (q *rxQueue) limit() time.Duration {
	if q.since.IsZero() {
		return 0
	}
	left := max(q.wait.drain-time.Since(q.since), time.Microsecond)
	if q.wait.poll > 0 {
		left = min(left, q.wait.poll)
	}
	return left
}

// connect makes q the receiving half of queue number i of s.
func (q *rxQueue) connect(s *session, i int, p port, wait patience) {
	q.vif, q.tap, q.number, q.port, q.wait = s, s.queues[i].tap, i, p, wait
	q.journal = newJournal(s.journal, i, true)
}

// resume answers what an earlier process was answering when it was killed.
func (q *rxQueue) resume(resumed bool) error {
	at := q.back.Answered()
	if resumed {
		for _, id := range q.journal.lost(at) {
			if ok, err := q.back.Next(nil); err != nil || !ok {
				return errors.Join(err, ring.ErrRing)
			}
			var b [netif.RxSlotSize]byte
			netif.RxResponse{ID: id, Status: netif.StatusError}.Put(b[:])
			q.back.Put(b[:])
		}
		q.back.Publish()
		_ = q.port.Notify() // it may not have come to that either
	}
	q.journal.start(q.back.Answered())
	return nil
}

// fill reads what frames there are, up to a batch.
func (q *rxQueue) fill() error {
	n, at := q.unpack(), rxRoom(0)
	q.next, q.frames = 0, n
	for reads := 0; reads < rxBatch && n < rxBatch && at+tap.MaxRead <= len(q.arena); reads++ {
		size, err := q.tap.TryRead(q.arena[at : at+tap.MaxRead])
		if err != nil && n > 0 {
			return nil // it comes again
		}
		if err != nil {
			return err
		}
		if size == 0 {
			q.look = len(q.rest) > 0
			return nil
		}
		if q.accept(n, q.arena[at:at+size], false) {
			at = rxRoom(at + size)
			n++
			q.frames = n
		}
	}
	return nil
}

// accept makes b, a header and a frame, number n of the batch, if it is for the guest
// and for this queue. Ours says that another queue has found out that it is.
func (q *rxQueue) accept(n int, b []byte, ours bool) bool {
	if len(b) < packet.VNetSize {
		q.vif.counters.rxUnfit.Add(1)
		return false
	}
	f := b[packet.VNetSize:]
	if !ours && !q.vif.mcast.Wants(f) {
		q.vif.counters.rxFiltered.Add(1)
		return false
	}
	var hash packet.Hash
	var hashed bool
	if h := q.vif.hash.Load(); h != nil {
		var to int
		if to, hash, hashed = h.queue(f, len(q.vif.queues)); to != q.number && !ours {
			q.give(to, b)
			return false
		}
	}
	rx, err := packet.NewRx(f, packet.ParseVNet(b), q.vif.accepts)
	if err != nil {
		q.vif.counters.rxUnfit.Add(1)
		return false
	}
	if hashed {
		rx.SetHash(hash)
	}
	q.frame[n] = rxFrame{rx, f}
	return true
}

// deliver gives the frames of the batch to the guest, as far as it has given pages, and
// drops them when it has not for too long.
func (q *rxQueue) deliver() error {
	for ; q.next < q.frames; q.next++ {
		f := &q.frame[q.next]
		ready, err := q.back.Ready()
		if err != nil {
			return err
		}
		if ready < uint32(f.Slots()) {
			if err := q.flush(); err != nil {
				return err
			}
			q.stall()
			return nil
		}
		q.since, q.stalled = time.Time{}, time.Time{}
		if err := q.put(f); err != nil {
			return err
		}
	}
	return q.flush()
}

// stall has the frames that are left wait for pages, or drops them.
func (q *rxQueue) stall() {
	switch {
	case !q.stalled.IsZero():
	case q.since.IsZero():
		q.since = time.Now()
		return
	case time.Since(q.since) < q.wait.drain:
		return
	case q.wait.carrier > 0:
		q.stalled = time.Now()
	}
	q.vif.counters.rxStalled.Add(uint64(q.frames - q.next))
	q.next, q.since = q.frames, time.Time{}
}

func (q *rxQueue) longStalled() bool {
	return !q.stalled.IsZero() && time.Since(q.stalled) >= q.wait.carrier
}

// lighten gives the interface its carrier back when the guest gives pages again. It had
// none so that the host sends nothing more. What has come meanwhile is old, and dropped.
func (q *rxQueue) lighten() (bool, error) {
	if ready, err := q.back.Ready(); err != nil || ready < packet.MaxRxSlots {
		return false, err
	}
	for n := q.unpack(); n > 0; n = q.unpack() {
		q.vif.counters.rxStalled.Add(uint64(n))
	}
	for {
		size, err := q.tap.TryRead(q.arena)
		if err != nil {
			return false, err
		}
		if size == 0 {
			break
		}
		q.vif.counters.rxStalled.Add(1)
	}
	q.dark, q.stalled = false, time.Time{}
	q.vif.carrier(+1)
	return true, nil
}

// put takes the slots for a frame and lists its copies. The slots are there.
func (q *rxQueue) put(f *rxFrame) error {
	for i := range f.Slots() {
		b := q.slot[q.slots][:]
		if ok, err := q.back.Next(b); err != nil || !ok {
			return errors.Join(err, ring.ErrRing)
		}
		req := netif.ParseRxRequest(b)
		q.ids[q.slots] = req.ID
		if from, to := f.Put(b, i, req); to > from {
			q.batch.Ops = append(q.batch.Ops, gnttab.Op{
				Grant: gnttab.Grant{Dom: q.vif.dom, Ref: req.Ref}, Local: f.b[from:to:to], ToGrant: true,
			})
			q.opSlot = append(q.opSlot, q.slots)
		}
		q.slots++
	}
	q.vif.counters.rxPackets.Add(1)
	q.vif.counters.rxBytes.Add(uint64(f.Len))
	return nil
}

// flush copies with one request what was put, and shows the answers.
func (q *rxQueue) flush() error {
	if q.slots == 0 {
		return nil
	}
	if err := q.batch.Run(); err != nil {
		return err
	}
	for i := range q.batch.Ops {
		if q.batch.Ops[i].Status == abi.GrantOK {
			continue
		}
		b := q.slot[q.opSlot[i]][:] // the guest's own fault; it finds out there
		r := netif.ParseRxResponse(b)
		r.Status = netif.StatusError
		r.Put(b)
		q.vif.counters.rxUncopied.Add(1)
	}
	q.journal.note(q.back.Answered(), q.ids[:q.slots])
	for i := range q.slots {
		q.back.Put(q.slot[i][:])
	}
	q.publish()
	q.batch.Reset()
	q.slots, q.opSlot = 0, q.opSlot[:0]
	return nil
}

func (q *rxQueue) publish() {
	if q.back.Publish() {
		_ = q.port.Notify()
	}
}
