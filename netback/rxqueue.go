package netback

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"goxl/backends/ring"
	"goxl/netback/netif"
	"goxl/netback/packet"
	"goxl/netback/tap"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/gnttab"
)

// Sizes of a batch to the guest. Any frame finds room as long as the arena has
// tap.MaxRead left.
const (
	rxBatch = 64
	rxArena = 2 * tap.MaxRead
)

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
	waker   *waker
	kick    <-chan struct{}
	journal journal
	arena   []byte
	wait    patience
	number  int    // of the queue
	inbox   inbox  // frames that other queues' streams brought
	rest    []byte // what was taken out of it and is not dealt with

	frame  [rxBatch]rxFrame
	slots  int // taken and not answered
	slot   [journalSlots][netif.RxSlotSize]byte
	ids    [journalSlots]uint16
	opSlot []int // of each copy

	stalled time.Time // since when frames are dropped at once; zero: they are not
}

// connect makes q the receiving half of queue number i of s.
func (q *rxQueue) connect(s *session, i int, w *waker, wait patience) {
	q.vif, q.tap, q.number, q.waker, q.kick, q.wait = s, s.queues[i].tap, i, w, w.listen(), wait
	q.journal = newJournal(s.journal, i, true)
}

// run serves the ring in mem until ctx ends, or the guest breaks the rules.
func (q *rxQueue) run(ctx context.Context, mem []byte, resumed bool) (err error) {
	if q.back, err = ring.NewBack(mem, netif.RxSlotSize); err == nil {
		err = q.resume(resumed)
	}
	for err == nil && ctx.Err() == nil {
		if err = q.turn(ctx); errors.Is(err, os.ErrDeadlineExceeded) {
			err = q.tap.Resume() // there is something in the inbox, or ctx has ended
		}
	}
	if errors.Is(err, ring.ErrRing) {
		return fmt.Errorf("receive ring: %w", err)
	}
	return err
}

// turn carries one batch.
func (q *rxQueue) turn(ctx context.Context) error {
	n, err := q.fill()
	if err == nil {
		err = q.deliver(ctx, n)
	}
	if err == nil && q.longStalled() {
		err = q.darkness(ctx)
	}
	return err
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
		_ = q.waker.port.Notify() // it may not have come to that either
	}
	q.journal.start(q.back.Answered())
	return nil
}

// fill waits for a frame and reads what else is there. It returns how many frames
// there are for the guest.
func (q *rxQueue) fill() (int, error) {
	n, used := q.unpack(), 0
	read := q.tap.Read
	if n > 0 {
		read = q.tap.TryRead
	}
	size, err := read(q.arena[:tap.MaxRead])
	for err == nil && size > 0 {
		if q.accept(n, q.arena[used:used+size], false) {
			used += (size + 7) &^ 7
			n++
		}
		if n == rxBatch || used+tap.MaxRead > len(q.arena) {
			return n, nil
		}
		size, err = q.tap.TryRead(q.arena[used : used+tap.MaxRead])
	}
	if n > 0 && !errors.Is(err, os.ErrClosed) {
		return n, nil // an error comes again
	}
	return n, err
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

// deliver gives the first n frames to the guest, or drops those for which it has no
// pages.
func (q *rxQueue) deliver(ctx context.Context, n int) error {
	for i := range n {
		need := uint32(q.frame[i].Slots())
		ready, err := q.back.Ready()
		if err != nil {
			return err
		}
		if ready < need {
			if err := q.flush(); err != nil {
				return err
			}
			if ok, err := q.await(ctx, need); err != nil {
				return err
			} else if !ok {
				q.vif.counters.rxStalled.Add(uint64(n - i))
				return nil
			}
		}
		q.stalled = time.Time{}
		if err := q.put(&q.frame[i]); err != nil {
			return err
		}
	}
	return q.flush()
}

// await waits until the guest has given pages for need slots, or reports false when
// it takes too long.
func (q *rxQueue) await(ctx context.Context, need uint32) (bool, error) {
	if !q.stalled.IsZero() {
		return false, nil
	}
	end := time.NewTimer(q.wait.drain)
	defer end.Stop()
	var tick <-chan time.Time
	if q.wait.poll > 0 {
		t := time.NewTicker(q.wait.poll)
		defer t.Stop()
		tick = t.C
	}
	for {
		if more, err := q.back.Arm(need); err != nil || more {
			return more, err
		}
		q.waker.rearm()
		select {
		case <-q.kick:
		case <-tick:
		case <-ctx.Done():
			return false, nil
		case <-end.C:
			if q.wait.carrier > 0 {
				q.stalled = time.Now()
			}
			return false, nil
		}
	}
}

func (q *rxQueue) longStalled() bool {
	return !q.stalled.IsZero() && time.Since(q.stalled) >= q.wait.carrier
}

// darkness takes the interface's carrier away until the guest gives pages again, so
// that the host sends nothing more. What has come meanwhile is old, and dropped.
func (q *rxQueue) darkness(ctx context.Context) error {
	q.vif.carrier(-1)
	defer q.vif.carrier(+1)
	for ctx.Err() == nil {
		if more, err := q.back.Arm(packet.MaxRxSlots); err != nil {
			return err
		} else if more {
			break
		}
		q.waker.rearm()
		select {
		case <-q.kick:
		case <-ctx.Done():
		}
	}
	q.stalled = time.Time{}
	for n := q.unpack(); n > 0; n = q.unpack() {
		q.vif.counters.rxStalled.Add(uint64(n))
	}
	for {
		size, err := q.tap.TryRead(q.arena)
		if err != nil || size == 0 {
			return err
		}
		q.vif.counters.rxStalled.Add(1)
	}
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
		_ = q.waker.port.Notify()
	}
}
