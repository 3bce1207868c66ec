package netback

import (
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
	txArena = 256 << 10
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
	port    port
	journal journal
	arena   []byte
	used    int // bytes of the arena

	pkt  [txBatch]txPacket
	held bool                 // the packet behind the batch was read and not dealt with
	wait time.Duration        // for so long, because of the rate limit
	due  int                  // answers
	ids  [journalSlots]uint16 // of their requests
	rsp  [journalSlots]netif.Status
}

// start attaches to the ring in mem.
func (q *txQueue) start(mem []byte, resumed bool) (err error) {
	if q.back, err = ring.NewBack(mem, netif.TxSlotSize); err == nil {
		err = q.resume(resumed)
	}
	return q.failed(err)
}

func (q *txQueue) failed(err error) error {
	if errors.Is(err, ring.ErrRing) || errors.Is(err, packet.ErrProtocol) {
		return fmt.Errorf("transmit ring: %w", err)
	}
	return err
}

// step carries a batch, or reports false when there is nothing to do now.
func (q *txQueue) step() (bool, error) {
	n, wait, bad := q.collect()
	if err := q.send(n); err != nil {
		return false, err
	}
	if q.held && n > 0 {
		q.pkt[0] = q.pkt[n] // to be the first of the next batch
	}
	q.wait = wait
	return n > 0, q.failed(bad)
}

// arm asks for an event, when one is wanted, and reports whether there is more to do
// already.
func (q *txQueue) arm() (wants, more bool, err error) {
	if q.held {
		return false, q.wait == 0, nil
	}
	more, err = q.back.Arm(1)
	return true, more, q.failed(err)
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
		_ = q.port.Notify() // it may not have come to that either
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
		at := q.room(p)
		if at+packet.VNetSize+p.Size > len(q.arena) || slots+p.Slots() > journalSlots {
			q.held = true
			return n, 0, nil
		}
		if p.Drop == nil && p.Mcast == 0 && q.vif.rate.limited() {
			if wait := q.vif.rate.take(p.Size, time.Now()); wait > 0 {
				q.held = true
				return n, wait, nil
			}
		}
		slots += p.Slots()
		q.place(p, at)
		n++
	}
	return n, 0, nil
}

// room returns where in the arena the packet's header and frame go: so that pages which
// the packet fills lie in pages of ours. The kernel makes two copies of one that does not.
func (q *txQueue) room(p *txPacket) int {
	before := packet.VNetSize
	for _, piece := range p.Pieces() {
		if piece.Len == abi.PageSize {
			return (q.used+before+abi.PageSize-1)&^(abi.PageSize-1) - before
		}
		before += int(piece.Len)
	}
	return q.used
}

// place puts the packet there and lists its copies.
func (q *txQueue) place(p *txPacket, at int) {
	p.at = -1
	if p.Drop == nil && p.Mcast == 0 {
		p.at = at
		at += packet.VNetSize
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

// send copies the first n packets with one request, and sends them. Their answers are due
// then.
func (q *txQueue) send(n int) error {
	if n == 0 {
		return nil
	}
	if err := q.batch.Run(); err != nil {
		return err
	}
	op := 0
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
		q.answer(p, status)
	}
	return nil
}

// flush gives the answers that are due.
func (q *txQueue) flush() {
	if q.due == 0 {
		return
	}
	q.journal.note(q.back.Answered(), q.ids[:q.due])
	for i := range q.due {
		q.put(q.ids[i], q.rsp[i])
	}
	q.due = 0
	q.publish()
}

// answer notes the answers to a packet's slots, which are due from now on: extra infos
// follow the first piece.
func (q *txQueue) answer(p *txPacket, status netif.Status) {
	for i, piece := range p.Pieces() {
		q.owe(piece.ID, status)
		for k := 0; i == 0 && k < p.Extras; k++ {
			q.owe(0, netif.StatusNull)
		}
	}
}

// owe notes one answer.
func (q *txQueue) owe(id uint16, s netif.Status) {
	q.ids[q.due], q.rsp[q.due] = id, s
	q.due++
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
	err := q.send(1)
	q.flush()
	return err
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
		_ = q.port.Notify()
	}
}
