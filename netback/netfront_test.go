//go:build linux

package netback

import (
	"encoding/binary"
	"fmt"
	"testing"

	"goxl/backends"
	"goxl/backends/backtest"
	"goxl/backends/ring"
	"goxl/netback/netif"
	"goxl/xenctrl/abi"
)

// netfront is a guest's half.
type netfront struct {
	t      *testing.T
	h      *host
	g      *backtest.Guest
	id     backends.ID
	queues []*frontPair
	ctrl   *frontCtrlRing // nil: has none
}

// frontPair is one queue of a guest.
type frontPair struct {
	f              *netfront
	txPage, rxPage backtest.Page
	tx, rx         *ring.Front
	txPort, rxPort *backtest.Port
	txID, rxID     uint16
	buffer         map[uint16]backtest.Page // given to receive into, by slot
	sent           map[uint16][]backtest.Page
	rxIndex        uint16
}

// shape is how a frontend connects.
type shape struct {
	queues  int
	split   bool
	ctrl    bool
	without []string // nodes that it does not write
	instead map[string]string
}

var plain = shape{queues: 1, split: true}

// front makes a frontend's rings and writes its nodes, but not its state.
func (h *host) front(id backends.ID, s shape) *netfront {
	h.t.Helper()
	f := &netfront{t: h.t, h: h, g: h.Guest(id.Dom), id: id}
	nodes := map[string]string{
		"request-rx-copy": "1", "feature-rx-notify": "1", "feature-sg": "1", "feature-gso-tcpv4": "1",
		"feature-gso-tcpv6": "1", "feature-ipv6-csum-offload": "1",
	}
	if s.queues > 1 {
		nodes["multi-queue-num-queues"] = fmt.Sprint(s.queues)
	}
	for i := range s.queues {
		p := &frontPair{f: f, txPage: f.g.Page(), rxPage: f.g.Page(), txPort: f.g.Port(),
			buffer: map[uint16]backtest.Page{}, sent: map[uint16][]backtest.Page{}}
		p.tx, _ = ring.NewFront(p.txPage.Bytes, netif.TxSlotSize)
		p.rx, _ = ring.NewFront(p.rxPage.Bytes, netif.RxSlotSize)
		dir := ""
		if s.queues > 1 {
			dir = fmt.Sprintf("queue-%d/", i)
		}
		nodes[dir+"tx-ring-ref"], nodes[dir+"rx-ring-ref"] = fmt.Sprint(p.txPage.Ref), fmt.Sprint(p.rxPage.Ref)
		if s.split {
			p.rxPort = f.g.Port()
			nodes[dir+"event-channel-tx"], nodes[dir+"event-channel-rx"] = fmt.Sprint(p.txPort.ID), fmt.Sprint(p.rxPort.ID)
		} else {
			p.rxPort = p.txPort
			nodes[dir+"event-channel"] = fmt.Sprint(p.txPort.ID)
		}
		f.queues = append(f.queues, p)
	}
	if s.ctrl {
		f.ctrl = newFrontCtrlRing(f)
		nodes["ctrl-ring-ref"], nodes["event-channel-ctrl"] = fmt.Sprint(f.ctrl.page.Ref), fmt.Sprint(f.ctrl.port.ID)
	}
	for k, v := range s.instead {
		nodes[k] = v
	}
	for _, k := range s.without {
		delete(nodes, k)
	}
	for k, v := range nodes {
		f.write(k, v)
	}
	return f
}

func (f *netfront) write(key, v string) { f.g.Write(fmt.Sprintf("device/vif/%d/%s", f.id.Dev, key), v) }

// connect makes a frontend and connects it.
func (h *host) connect(id backends.ID, s shape) *netfront {
	h.t.Helper()
	f := h.front(id, s)
	f.write("state", "4")
	h.Await(h.back(id, "state"), "4")
	return f
}

func (f *netfront) tap(i int) *fakeTap {
	iface := f.h.ifs.get(f.id)
	iface.mu.Lock()
	defer iface.mu.Unlock()
	return iface.taps[i]
}

// send sends a frame in pieces of at most size bytes each, with a GSO extra if seg is
// not zero, and does not wait for the answers.
func (p *frontPair) send(frame []byte, flags netif.TxFlags, seg uint16, size int) {
	var pages []backtest.Page
	var cut [][]byte
	for b := frame; len(b) > 0; b = b[min(size, len(b)):] {
		cut = append(cut, b[:min(size, len(b))])
	}
	slot := make([]byte, netif.TxSlotSize)
	first := p.txID
	for i, b := range cut {
		pg := p.f.g.Page()
		off := (abi.PageSize - len(b)) / 2
		copy(pg.Bytes[off:], b)
		pages = append(pages, pg)
		r := netif.TxRequest{Ref: pg.Ref, Offset: uint16(off), ID: p.txID, Size: uint16(len(b))}
		p.txID++
		if i == 0 {
			r.Size, r.Flags = uint16(len(frame)), flags
			if seg > 0 {
				r.Flags |= netif.TxExtraInfo
			}
		}
		if i+1 < len(cut) {
			r.Flags |= netif.TxMoreData
		}
		r.Put(slot)
		p.tx.Put(slot)
		if i == 0 && seg > 0 {
			e := netif.Extra{Type: netif.ExtraGSO, GSO: netif.GSOTCPv4, SegmentSize: seg}
			e.Put(slot)
			p.tx.Put(slot)
		}
	}
	p.sent[first] = pages
	p.pushTx()
}

func (p *frontPair) pushTx() {
	if p.tx.Publish() {
		p.txPort.Notify()
	}
}

// answers waits for n answers, and fails the test if there are none for long.
func (p *frontPair) answers(n int) []netif.TxResponse {
	p.f.t.Helper()
	var all []netif.TxResponse
	b := make([]byte, netif.TxSlotSize)
	for len(all) < n {
		ok, err := p.tx.Next(b)
		if err != nil {
			p.f.t.Fatal(err)
		}
		if !ok {
			if more, _ := p.tx.Arm(1); !more {
				p.txPort.Wait()
			}
			continue
		}
		r := netif.ParseTxResponse(b)
		if tail := [8]byte(b[4:]); tail != [8]byte{} {
			p.f.t.Errorf("answer %+v is followed by %x", r, tail)
		}
		for _, pg := range p.sent[r.ID] {
			if r.Status != netif.StatusNull {
				p.f.g.Free(pg)
			}
		}
		if r.Status != netif.StatusNull {
			delete(p.sent, r.ID)
		}
		all = append(all, r)
	}
	return all
}

// lend gives n pages to receive into, or as many as there is room for.
func (p *frontPair) lend(n int) {
	b := make([]byte, netif.RxSlotSize)
	for range min(uint32(n), p.rx.Free()) {
		pg := p.f.g.Page()
		p.buffer[p.rxID] = pg
		netif.RxRequest{ID: p.rxID, Ref: pg.Ref}.Put(b)
		p.rxID++
		p.rx.Put(b)
	}
	if p.rx.Publish() {
		p.rxPort.Notify()
	}
}

// gotFrame is a frame that a guest received.
type gotFrame struct {
	b      []byte
	flags  netif.RxFlags
	gso    netif.GSOType
	hash   *netif.Extra // nil: was not told
	failed bool
}

func (p *frontPair) response() []byte {
	p.f.t.Helper()
	b := make([]byte, netif.RxSlotSize)
	for {
		ok, err := p.rx.Next(b)
		if err != nil {
			p.f.t.Fatal(err)
		}
		if ok {
			return b
		}
		if more, _ := p.rx.Arm(1); !more {
			p.rxPort.Wait()
		}
	}
}

// receive takes the next frame as Linux's frontend does: by slot, not by id.
func (p *frontPair) receive() (f gotFrame) {
	p.f.t.Helper()
	for more, first := true, true; more; first = false {
		r := netif.ParseRxResponse(p.response())
		pg, slot := p.buffer[p.rxIndex], p.rxIndex
		p.rxIndex++
		if r.ID != slot {
			p.f.t.Errorf("slot %d has the id %d", slot, r.ID)
		}
		if r.Status < 0 {
			f.failed = true
		} else {
			f.b = append(f.b, pg.Bytes[r.Offset:][:r.Status]...)
		}
		delete(p.buffer, slot)
		p.f.g.Free(pg)
		if first {
			f.flags = r.Flags
		}
		for extra := r.Flags&netif.RxExtraInfo != 0; extra; {
			e := netif.ParseExtra(p.response())
			switch e.Type {
			case netif.ExtraGSO:
				f.gso = e.GSO
			case netif.ExtraHash:
				f.hash = &e
			default:
				p.f.t.Errorf("extra info %+v", e)
			}
			p.f.g.Free(p.buffer[p.rxIndex])
			delete(p.buffer, p.rxIndex)
			p.rxIndex++
			extra = e.More
		}
		more = r.Flags&netif.RxMoreData != 0
	}
	return f
}

// ethFrame is a frame from the guest with content of its own.
func ethFrame(n int, seed byte) []byte {
	f := make([]byte, n)
	for i := range f {
		f[i] = byte(i)*13 + seed
	}
	copy(f, []byte{0x00, 0x16, 0x3e, 9, 9, 9, 0x00, 0x16, 0x3e, 1, 2, 3, 0x12, 0x34})
	return f
}

// tcpFrame is a TCP over IPv4 frame of n bytes with a blank checksum.
func tcpFrame(n int) []byte {
	f := ethFrame(n, 3)
	ip := f[14:]
	clear(ip[:40])
	ip[0], ip[8], ip[9], ip[32] = 0x45, 64, 6, 5<<4
	binary.BigEndian.PutUint16(ip[2:], uint16(n-14))
	copy(ip[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	binary.BigEndian.PutUint16(f[12:], 0x0800)
	return f
}
