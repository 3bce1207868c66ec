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
	"goxl/xenctrl/abi"
	"goxl/xenctrl/gnttab"
)

// Sizes of a batch from the guest. The arena holds at least one packet of any size.
const (
	txBatch = 64
	txArena = 128 << 10
)

// txPacket is a packet of a batch.
type txPacket struct {
	packet.Tx
	at  int // of its header and frame in the arena; -1: has none
	ops int // its copies in the batch: from the previous packet's to here
}

// txQueue carries packets from the guest to the tap.
type txQueue struct {
	vif     *session
	tap     tapQueue
	back    *ring.Back
	batch   *gnttab.Batch
	waker   *waker
	kick    <-chan struct{}
	journal journal
	arena   []byte
	used    int // bytes of the arena

	pkt  [txBatch]txPacket
	held bool // the packet behind the batch was read and not dealt with
	ids  [journalSlots]uint16
	rsp  [journalSlots]netif.Status
}

// run serves the ring in mem until ctx ends, or the guest breaks the rules.
func (q *txQueue) run(ctx context.Context, mem []byte, resumed bool) (err error) {
	if q.back, err = ring.NewBack(mem, netif.TxSlotSize); err != nil {
		return fmt.Errorf("transmit ring: %w", err)
	}
	if err := q.resume(resumed); err != nil {
		return fmt.Errorf("transmit ring: %w", err)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		n, wait, bad := q.collect()
		if err := q.send(n); err != nil {
			return err
		}
		if q.held && n > 0 {
			q.pkt[0] = q.pkt[n] // to be the first of the next batch
		}
		if bad != nil {
			return fmt.Errorf("transmit ring: %w", bad)
		}
		if wait > 0 {
			q.waker.rearm() // the receive ring may need events meanwhile
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
			continue
		}
		if n > 0 || q.held {
			continue
		}
		if more, err := q.back.Arm(1); err != nil {
			return fmt.Errorf("transmit ring: %w", err)
		} else if more {
			continue
		}
		if err := q.sleep(ctx); err != nil {
			return err
		}
	}
	return q.refuseHeld()
}

// sleep waits for an event, or the end of ctx.
func (q *txQueue) sleep(ctx context.Context) error {
	if q.waker.own {
		if err := q.waker.sleep(); err != nil && ctx.Err() == nil {
			return fmt.Errorf("transmit ring's events: %w", err)
		}
		return nil
	}
	q.waker.rearm()
	select {
	case <-q.kick:
	case <-ctx.Done():
	}
	return nil
}

// resume answers what an earlier process was answering when it was killed.
func (q *txQueue) resume(resumed bool) error {
	at := q.back.Answered()
	if resumed {
		for _, id := range q.journal.lost(at) {
			if ok, err := q.back.Next(nil); err != nil || !ok {
				return errors.Join(err, ring.ErrRing)
			}
			q.put(id, netif.StatusDropped)
		}
		q.back.Publish()
		_ = q.waker.port.Notify() // it may not have come to that either
	}
	q.journal.start(q.back.Answered())
	return nil
}

// collect takes packets off the ring and lists what to copy of them. It reports how
// many, how long to wait for the rate limit, and what the guest did wrong after them.
func (q *txQueue) collect() (n int, wait time.Duration, _ error) {
	q.batch.Reset()
	q.used = 0
	slots := 0
	for n < txBatch {
		p := &q.pkt[n]
		if !q.held {
			ok, err := p.Read(q.back)
			if err != nil || !ok {
				return n, 0, err
			}
		}
		q.held = false
		if q.used+packet.VNetSize+p.Size > len(q.arena) || slots+p.Slots() > journalSlots {
			q.held = true
			return n, 0, nil
		}
		if p.Drop == nil && p.Mcast == 0 {
			if wait := q.vif.rate.take(p.Size, time.Now()); wait > 0 {
				q.held = true
				return n, wait, nil
			}
		}
		slots += p.Slots()
		q.place(p)
		n++
	}
	return n, 0, nil
}

// place gives the packet room and lists its copies.
func (q *txQueue) place(p *txPacket) {
	p.at = -1
	if p.Drop == nil && p.Mcast == 0 {
		p.at = q.used
		at := q.used + packet.VNetSize
		for _, piece := range p.Pieces() {
			if piece.Len == 0 {
				continue
			}
			to := at + int(piece.Len)
			q.batch.Ops = append(q.batch.Ops, gnttab.Op{
				Grant: gnttab.Grant{Dom: q.vif.dom, Ref: piece.Ref}, Offset: piece.Offset, Local: q.arena[at:to:to],
			})
			at = to
		}
		q.used = (at + 7) &^ 7
	}
	p.ops = len(q.batch.Ops)
}

// send copies the first n packets with one request, sends them, and answers them all.
func (q *txQueue) send(n int) error {
	if n == 0 {
		return nil
	}
	if err := q.batch.Run(); err != nil {
		return err
	}
	slots, op := 0, 0
	for i := range n {
		p := &q.pkt[i]
		copied := true
		for ; op < p.ops; op++ {
			copied = copied && q.batch.Ops[op].Status == abi.GrantOK
		}
		status, err := q.finish(p, copied)
		if err != nil {
			return err
		}
		slots = q.answer(slots, p, status)
	}
	q.journal.note(q.back.Answered(), q.ids[:slots])
	for i := range slots {
		q.put(q.ids[i], q.rsp[i])
	}
	q.publish()
	return nil
}

// answer notes the answers to a packet's slots, from number n on: extra infos follow
// the first piece.
func (q *txQueue) answer(n int, p *txPacket, status netif.Status) int {
	for i, piece := range p.Pieces() {
		q.ids[n], q.rsp[n] = piece.ID, status
		n++
		for k := 0; i == 0 && k < p.Extras; k++ {
			q.ids[n], q.rsp[n] = 0, netif.StatusNull
			n++
		}
	}
	return n
}

// finish deals with one packet and says how it is answered. An error means that the
// tap is gone.
func (q *txQueue) finish(p *txPacket, copied bool) (netif.Status, error) {
	c := q.vif.counters
	switch {
	case p.Mcast == netif.ExtraMcastAdd:
		if !q.vif.mcast.Add(p.Addr) {
			return netif.StatusError, nil
		}
		return netif.StatusOK, nil
	case p.Mcast == netif.ExtraMcastDel:
		q.vif.mcast.Del(p.Addr)
		return netif.StatusOK, nil
	case p.Drop != nil || !copied:
		c.txBad.Add(1)
		return netif.StatusError, nil
	}
	all := q.arena[p.at : p.at+packet.VNetSize+p.Size]
	frame := all[packet.VNetSize:]
	if !q.vif.guard.Allows(frame) {
		c.txSpoofed.Add(1)
		return netif.StatusError, nil
	}
	head, err := packet.Offload(frame, &p.Tx)
	if err != nil {
		c.txBad.Add(1)
		return netif.StatusError, nil
	}
	head.Put(all)
	switch err := q.tap.Write(all); {
	case errors.Is(err, os.ErrClosed):
		return 0, err
	case err != nil:
		c.txRefused.Add(1)
		return netif.StatusDropped, nil
	}
	c.txPackets.Add(1)
	c.txBytes.Add(uint64(p.Size))
	return netif.StatusOK, nil
}

// refuseHeld answers a packet that waits for the rate limit when all ends, so that
// what was taken is answered.
func (q *txQueue) refuseHeld() error {
	if !q.held {
		return nil
	}
	q.held = false
	q.batch.Reset()
	q.pkt[0].Drop, q.pkt[0].ops = errEnding, 0
	return q.send(1)
}

var errEnding = errors.New("the backend ends")

func (q *txQueue) put(id uint16, s netif.Status) {
	var b [netif.TxSlotSize]byte
	netif.TxResponse{ID: id, Status: s}.Put(b[:])
	q.back.Put(b[:])
}

// publish shows the answers. An event that cannot be sent is the guest's loss: its
// domain is ending.
func (q *txQueue) publish() {
	if q.back.Publish() {
		_ = q.waker.port.Notify()
	}
}
