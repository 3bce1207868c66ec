//go:build linux

package netback

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"testing"
	"time"

	"goxl/backends/backtest"
	"goxl/backends/ring"
	"goxl/netback/netif"
	"goxl/netback/packet"
	"goxl/xenctrl/abi"
)

// frontCtrlRing is a guest's control ring.
type frontCtrlRing struct {
	f    *netfront
	page backtest.Page
	ring *ring.Front
	port *backtest.Port
	id   uint16
}

func newFrontCtrlRing(f *netfront) *frontCtrlRing {
	c := &frontCtrlRing{f: f, page: f.g.Page(), port: f.g.Port(), id: 100}
	c.ring, _ = ring.NewFront(c.page.Bytes, netif.CtrlSlotSize)
	return c
}

// put asks, and does not wait for the answer.
func (c *frontCtrlRing) put(typ netif.CtrlType, data ...uint32) {
	var b [netif.CtrlSlotSize]byte
	req := request(typ, data...)
	c.id++
	req.ID = c.id
	req.Put(b[:])
	c.ring.Put(b[:])
	if c.ring.Publish() {
		c.port.Notify()
	}
}

// answer waits for the next answer.
func (c *frontCtrlRing) answer() netif.CtrlResponse {
	c.f.t.Helper()
	var b [netif.CtrlSlotSize]byte
	for {
		if ok, err := c.ring.Next(b[:]); err != nil {
			c.f.t.Fatal(err)
		} else if ok {
			return netif.ParseCtrlResponse(b[:])
		}
		if more, _ := c.ring.Arm(1); !more {
			c.port.Wait()
		}
	}
}

// ask asks, and wants this answer.
func (c *frontCtrlRing) ask(status netif.CtrlStatus, data uint32, typ netif.CtrlType, args ...uint32) {
	c.f.t.Helper()
	c.put(typ, args...)
	want := netif.CtrlResponse{ID: c.id, Type: typ, Status: status, Data: data}
	if got := c.answer(); got != want {
		c.f.t.Errorf("request %d of %v is answered with %+v, want %+v", typ, args, got, want)
	}
}

// hash has frames hashed with a key, and TCP flows go to queues by the mapping.
func (c *frontCtrlRing) hash(key []byte, mapping ...uint32) {
	c.f.t.Helper()
	page := c.f.g.ReadOnlyPage()
	defer c.f.g.Free(page)
	copy(page.Bytes, key)
	c.ask(netif.CtrlSuccess, 0, netif.CtrlSetHashAlgorithm, 1)
	c.ask(netif.CtrlSuccess, 0, netif.CtrlSetHashKey, uint32(page.Ref), uint32(len(key)))
	c.ask(netif.CtrlSuccess, 0, netif.CtrlSetHashMappingSize, uint32(len(mapping)))
	for i, q := range mapping {
		binary.LittleEndian.PutUint32(page.Bytes[4*i:], q)
	}
	c.ask(netif.CtrlSuccess, 0, netif.CtrlSetHashMapping, uint32(page.Ref), uint32(len(mapping)), 0)
	c.ask(netif.CtrlSuccess, 0, netif.CtrlSetHashFlags, uint32(allHashTypes))
}

// flow is a frame of TCP from a port.
func flow(port uint16, n int) []byte {
	f := tcpFrame(n)
	binary.BigEndian.PutUint16(f[34:], port)
	return f
}

// rssKey is Microsoft's, for the verification of receive side scaling.
var rssKey, _ = hex.DecodeString("6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa")

// wantFlows sends flows into each of the vif's streams and wants each where the mapping
// says, with its hash.
func wantFlows(t *testing.T, f *netfront, mapping ...uint32) {
	t.Helper()
	toeplitz := packet.NewToeplitz(rssKey)
	for i := range f.queues {
		for port := range uint16(12) {
			frame := flow(port, 60+int(port)*400)
			h, _ := toeplitz.Frame(frame, allHashTypes)
			p := f.queues[mapping[h.Value%uint32(len(mapping))]]
			p.lend(6)
			f.tap(i).send(packet.VNet{}, frame)
			got := p.receive()
			want := netif.Extra{Type: netif.ExtraHash, HashType: 1, Algorithm: netif.HashToeplitz, Hash: h.Value}
			if !bytes.Equal(got.b, frame) || got.hash == nil || *got.hash != want {
				t.Errorf("flow %d from stream %d: %d bytes with %+v, want %+v", port, i, len(got.b), got.hash, want)
			}
		}
	}
}

var fourWithCtrl = shape{queues: 4, split: true, ctrl: true}

func TestCtrlRingSteers(t *testing.T) {
	h := newHost(t, nil)
	h.add(vif0)
	if h.Read(h.back(vif0, "feature-ctrl-ring")) != "1" {
		t.Error("the control ring is not offered")
	}
	f := h.connect(vif0, fourWithCtrl)
	for i, p := range f.queues { // nothing was asked for: frames stay in their streams, without hashes
		p.lend(1)
		f.tap(i).send(packet.VNet{}, flow(uint16(i), 60))
		if got := p.receive(); got.hash != nil {
			t.Errorf("hash %+v that nobody asked for", got.hash)
		}
	}
	f.ctrl.hash(rssKey, 3, 1, 0, 2, 2)
	wantFlows(t, f, 3, 1, 0, 2, 2)
	f.queues[3].lend(1)
	f.tap(1).send(packet.VNet{}, ethFrame(60, 4)) // has no hash: goes where 0 does
	if got := f.queues[3].receive(); got.hash != nil || len(got.b) != 60 {
		t.Errorf("received %+v", got)
	}
	gso := packet.VNet{Flags: 1, GSOType: 1, HeaderLen: 54, SegmentSize: 1448, ChecksumStart: 34, ChecksumOffset: 16}
	f.ctrl.hash(rssKey, 2)
	f.queues[2].lend(20)
	f.tap(0).send(gso, flow(7, 60000))
	if got := f.queues[2].receive(); !bytes.Equal(got.b, flow(7, 60000)) || got.gso != netif.GSOTCPv4 || got.hash == nil {
		t.Errorf("%d bytes of a packet of many segments, %d, %+v", len(got.b), got.gso, got.hash)
	}
	f.ctrl.ask(netif.CtrlSuccess, 0, netif.CtrlSetHashAlgorithm, 0)
	f.queues[1].lend(1)
	f.tap(1).send(packet.VNet{}, flow(7, 60))
	if got := f.queues[1].receive(); got.hash != nil {
		t.Errorf("hash %+v after it was switched off", got.hash)
	}
}

// TestCtrlRingFull asks for more than there is room for at a time.
func TestCtrlRingFull(t *testing.T) {
	h := newHost(t, nil)
	h.add(vif0)
	f := h.connect(vif0, fourWithCtrl)
	for range 3 {
		n := int(f.ctrl.ring.Free())
		first := f.ctrl.id + 1
		for range n {
			f.ctrl.put(netif.CtrlGetHashMappingSize)
		}
		for i := range n {
			if got := f.ctrl.answer(); got.ID != first+uint16(i) || got.Data != maxHashMapping {
				t.Fatalf("answer %d: %+v", i, got)
			}
		}
	}
}

// TestHashingSurvives holds that a guest keeps its settings when the daemon is started
// anew, and not when it connects anew.
func TestHashingSurvives(t *testing.T) {
	h := newHost(t, nil)
	h.add(vif0)
	f := h.connect(vif0, fourWithCtrl)
	f.ctrl.hash(rssKey, 1, 2)
	for range 2 {
		h.stop()
		f.ctrl.put(netif.CtrlGetHashFlags) // while nobody serves
		h.run()
		if got := f.ctrl.answer(); got.Status != netif.CtrlSuccess || got.Data != uint32(allHashTypes) {
			t.Errorf("answer %+v", got)
		}
		wantFlows(t, f, 1, 2)
	}
	f.write("state", "6")
	h.Await(h.back(vif0, "state"), "6")
	f.write("state", "1")
	h.Await(h.back(vif0, "state"), "2")
	f = h.connect(vif0, fourWithCtrl)
	f.ctrl.ask(netif.CtrlNotSupported, 0, netif.CtrlGetHashFlags)
	f.queues[0].lend(1)
	f.tap(0).send(packet.VNet{}, flow(7, 60))
	if got := f.queues[0].receive(); got.hash != nil {
		t.Errorf("hash %+v of an earlier connection", got.hash)
	}
}

// TestKilledBetweenCtrlAnswers kills the backend when an answer is in its slot and the
// guest does not know; the next process shows it, and takes it for no request.
func TestKilledBetweenCtrlAnswers(t *testing.T) {
	guest, back := pages(t)
	front, _ := ring.NewFront(guest, netif.CtrlSlotSize)
	mem := make([]byte, vifJournalSize)
	var b [netif.CtrlSlotSize]byte
	open := func() *ctrlRing {
		r, err := ring.NewBack(back, netif.CtrlSlotSize)
		if err != nil {
			t.Fatal(err)
		}
		s := testSession()
		s.queues = make([]*queue, 4)
		return &ctrlRing{vif: s, back: r, port: &silent{}, journal: newCtrlJournal(mem), now: &hashing{}}
	}
	c := open()
	if err := c.resume(false); err != nil {
		t.Fatal(err)
	}
	request(netif.CtrlSetHashAlgorithm, 1).Put(b[:])
	front.Put(b[:])
	request(netif.CtrlGetHashFlags).Put(b[:])
	front.Put(b[:])
	front.Publish()
	if ok, err := c.back.Next(b[:]); !ok || err != nil {
		t.Fatal(ok, err)
	}
	next, rsp, err := c.now.answer(netif.ParseCtrlRequest(b[:]), 4, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.journal.keep(next)
	c.journal.note(c.back.Answered(), rsp)
	rsp.Put(b[:])
	c.back.Put(b[:]) // and no more

	c = open()
	if c.now, err = c.journal.hashing(4); err != nil {
		t.Fatal(err)
	}
	if err := c.resume(true); err != nil {
		t.Fatal(err)
	}
	if more, err := c.step(); !more || err != nil {
		t.Fatal(more, err)
	}
	for _, want := range []netif.CtrlResponse{
		{ID: 0x4711, Type: netif.CtrlSetHashAlgorithm},
		{ID: 0x4711, Type: netif.CtrlGetHashFlags, Data: uint32(allHashTypes)},
	} {
		if ok, err := front.Next(b[:]); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if got := netif.ParseCtrlResponse(b[:]); got != want {
			t.Errorf("answer %+v, want %+v", got, want)
		}
	}
	if more, err := c.step(); more || err != nil {
		t.Errorf("one more request: %v, %v", more, err)
	}
}

// TestInboxIsBounded fills a queue whose guest gives no pages from other streams: they
// go on.
func TestInboxIsBounded(t *testing.T) {
	h := newHost(t, func(d *Driver) { d.patient = patience{drain: time.Minute} })
	h.add(vif0)
	f := h.connect(vif0, shape{queues: 2, split: true, ctrl: true})
	f.ctrl.hash(rssKey, 1) // all flows to queue 1, and what has no hash
	const each, count = 60000, 30
	for range count {
		f.tap(0).send(packet.VNet{}, flow(1, each))
	}
	eventually(t, "the frames to leave their stream", func() bool {
		f.tap(0).mu.Lock()
		defer f.tap(0).mu.Unlock()
		return len(f.tap(0).toGuest) == 0
	})
	f.ctrl.hash(rssKey, 0)
	f.queues[0].lend(3)
	f.tap(0).send(packet.VNet{}, flow(1, 60))
	if got := f.queues[0].receive(); len(got.b) != 60 {
		t.Errorf("received %d bytes", len(got.b))
	}
	p := f.queues[1]
	for n := range inboxSize / (each + 2*inboxHead) {
		p.lend(17)
		if got := p.receive(); !bytes.Equal(got.b, flow(1, each)) {
			t.Fatalf("frame %d has %d bytes", n, len(got.b))
		}
	}
}

func TestInbox(t *testing.T) {
	var i inbox
	t.Cleanup(func() {
		if err := i.close(); err != nil {
			t.Error(err)
		}
	})
	if i.take() != nil {
		t.Error("something is in an empty inbox")
	}
	for round := range 3 {
		n := 0
		for ; ; n++ {
			first, ok := i.put(ethFrame(100+n, byte(n)))
			if !ok {
				break
			}
			if first != (n == 0) {
				t.Fatalf("frame %d is the first: %v", n, first)
			}
		}
		if n < 500 {
			t.Errorf("only %d small frames have room", n)
		}
		rest := i.take()
		for k := range n {
			var b []byte
			if b, rest = nextFrame(rest); !bytes.Equal(b, ethFrame(100+k, byte(k))) {
				t.Fatalf("round %d: frame %d is another", round, k)
			}
		}
		if len(rest) > 0 || len(i.take()) > 0 {
			t.Errorf("there is more than was put in")
		}
	}
}

// TestSteeringUnderWay changes the mapping again and again while frames come, and
// counts that none is lost as long as there are pages.
func TestSteeringUnderWay(t *testing.T) {
	h := newHost(t, nil)
	h.add(vif0)
	f := h.connect(vif0, shape{queues: 2, split: true, ctrl: true})
	for _, p := range f.queues {
		p.lend(abi.PageSize / 16)
	}
	sent := 0
	for n := range 30 {
		f.ctrl.hash(rssKey, uint32(n%2))
		for range 2 {
			f.tap(n%2).send(packet.VNet{}, flow(uint16(sent), 60))
			f.tap(1-n%2).send(packet.VNet{}, flow(uint16(sent), 60))
			sent += 2
		}
	}
	eventually(t, "all frames to arrive", func() bool {
		var got uint32
		for _, p := range f.queues {
			got += binary.LittleEndian.Uint32(p.rxPage.Bytes[8:]) // index of the responses
		}
		return int(got) == 2*sent // each with its hash
	})
}
