//go:build linux

package netback

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"goxl/backends"
	"goxl/netback/netif"
	"goxl/netback/packet"
)

var vif0 = backends.ID{Dom: 7, Dev: 0}

func TestCarriesBothWays(t *testing.T) {
	for _, s := range []shape{{queues: 1, split: true}, {queues: 1}, {queues: 4, split: true}, {queues: 2}} {
		t.Run(fmt.Sprintf("%d queues, split %v", s.queues, s.split), func(t *testing.T) {
			h := newHost(t, nil)
			h.add(vif0)
			f := h.connect(vif0, s)
			for i, p := range f.queues {
				exchange(t, p, f.tap(i))
			}
		})
	}
}

// exchange sends frames of many sizes both ways and compares every byte.
func exchange(t *testing.T, p *frontPair, tap *fakeTap) {
	t.Helper()
	sizes := []int{14, 60, 1514, 4096, 4097, 9014, 30000, 65535}
	for k, n := range sizes {
		frame := ethFrame(n, byte(k))
		before := len(tap.sent())
		p.send(frame, 0, 0, max(3500, n/17))
		slots := len(p.sent[p.txID-uint16((n+max(3500, n/17)-1)/max(3500, n/17))])
		for _, r := range p.answers(slots) {
			if r.Status != netif.StatusOK {
				t.Errorf("%d bytes: answer %+v", n, r)
			}
		}
		if sent := tap.sent(); len(sent) != before+1 || !bytes.Equal(sent[before][packet.VNetSize:], frame) ||
			!bytes.Equal(sent[before][:packet.VNetSize], make([]byte, packet.VNetSize)) {
			t.Errorf("%d bytes do not come out of the tap as they went in", n)
		}
		p.lend(18)
		tap.send(packet.VNet{}, frame)
		if got := p.receive(); !bytes.Equal(got.b, frame) || got.failed {
			t.Errorf("%d bytes come to the guest as %d", n, len(got.b))
		}
	}
}

func TestOffloadsBothWays(t *testing.T) {
	h := newHost(t, nil)
	h.add(vif0)
	f := h.connect(vif0, plain)
	p, tap := f.queues[0], f.tap(0)
	if !tap.offloads.Checksum || !tap.offloads.TCPv4 || !tap.offloads.TCPv6 {
		t.Errorf("the tap may use %+v", tap.offloads)
	}
	frame := tcpFrame(30000)
	p.send(frame, netif.TxChecksumBlank|netif.TxDataValidated, 1448, 4000)
	for i, r := range p.answers(9) {
		if want := []netif.Status{netif.StatusOK, netif.StatusNull}[min(i, 1)%2]; i < 2 && r.Status != want {
			t.Errorf("answer %d: %+v", i, r)
		}
	}
	want := packet.VNet{Flags: 1, GSOType: 1, HeaderLen: 54, SegmentSize: 1448, ChecksumStart: 34, ChecksumOffset: 16}
	if sent := tap.sent(); len(sent) != 1 || packet.ParseVNet(sent[0]) != want {
		t.Errorf("sent %d frames with header %+v", len(sent), packet.ParseVNet(sent[0]))
	}
	p.lend(30)
	tap.send(want, frame)
	got := p.receive()
	if !bytes.Equal(got.b, frame) || got.gso != netif.GSOTCPv4 || got.flags&netif.RxChecksumBlank == 0 {
		t.Errorf("received %d bytes, flags %#x, gso %d", len(got.b), got.flags, got.gso)
	}
}

// TestPingPong has a guest change its state as it likes while frames are under way
// both ways, with rings that are new each time. In the end it is served as if nothing
// had been, and nothing is held of what it left.
func TestPingPong(t *testing.T) {
	h := newHost(t, nil)
	h.add(vif0)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // the host sends all the time
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Microsecond):
			}
			i := h.ifs.get(vif0)
			i.mu.Lock()
			for _, tap := range i.taps {
				tap.send(packet.VNet{}, ethFrame(1500, 1))
			}
			i.mu.Unlock()
		}
	}()
	for n := range 60 {
		f := h.front(vif0, shape{queues: 1 + n%3, split: n%2 == 0})
		if n%3 == 0 {
			_ = f.g.Store.Rm(context.Background(), backends.FrontPath("vif", vif0)+"/multi-queue-num-queues")
		}
		f.write("state", "4")
		for _, p := range f.queues {
			p.lend(10)
			p.send(ethFrame(3000, 2), 0, 0, 2000)
		}
		time.Sleep(time.Duration(n%5) * time.Millisecond)
		for _, s := range []string{"6", "1", "5", "4", "0", "3"}[n%4 : n%4+1+n%3] {
			f.write("state", s)
		}
	}
	close(stop)
	<-stopped
	f := h.front(vif0, plain)
	_ = f.g.Store.Rm(context.Background(), backends.FrontPath("vif", vif0)+"/multi-queue-num-queues")
	f.write("state", "6")
	h.Await(h.back(vif0, "state"), "6")
	eventually(t, "all to be given back", func() bool { return h.Held() == "" })
	f.write("state", "1")
	h.Await(h.back(vif0, "state"), "2")
	f = h.connect(vif0, plain)
	exchange(t, f.queues[0], f.tap(0))
}

// TestBadGrants has a guest name pages that it did not grant, beside good ones.
func TestBadGrants(t *testing.T) {
	h := newHost(t, nil)
	h.add(vif0)
	f := h.connect(vif0, plain)
	p, tap := f.queues[0], f.tap(0)
	b := make([]byte, netif.TxSlotSize)
	netif.TxRequest{Ref: 31337, ID: 500, Size: 60}.Put(b)
	p.tx.Put(b)
	p.send(ethFrame(80, 1), 0, 0, 4000)
	if a := p.answers(2); a[0].Status != netif.StatusError || a[0].ID != 500 || a[1].Status != netif.StatusOK {
		t.Errorf("answers %+v", a)
	}
	ro := f.g.ReadOnlyPage()
	p.buffer[p.rxID] = ro
	netif.RxRequest{ID: p.rxID, Ref: ro.Ref}.Put(b[:netif.RxSlotSize])
	p.rxID++
	p.rx.Put(b[:netif.RxSlotSize])
	p.lend(1)
	tap.send(packet.VNet{}, ethFrame(60, 1))
	tap.send(packet.VNet{}, ethFrame(70, 2))
	if got := p.receive(); !got.failed {
		t.Error("a page that may not be written was")
	}
	if got := p.receive(); got.failed || !bytes.Equal(got.b, ethFrame(70, 2)) {
		t.Error("the frame after it is not right")
	}
}

// TestRestart ends the daemon under a guest and starts another one, again and again.
func TestRestart(t *testing.T) {
	h := newHost(t, nil)
	h.add(vif0)
	f := h.connect(vif0, shape{queues: 2, split: true})
	for range 3 {
		h.stop()
		p := f.queues[0]
		p.send(ethFrame(100, 9), 0, 0, 4000) // while nobody serves
		p.lend(1)
		h.run()
		if a := p.answers(1); a[0].Status != netif.StatusOK {
			t.Errorf("answer %+v", a)
		}
		f.tap(0).send(packet.VNet{}, ethFrame(50, 1))
		if got := p.receive(); got.failed || len(got.b) != 50 {
			t.Errorf("received %+v", got)
		}
		exchange(t, f.queues[1], f.tap(1))
	}
}

// TestReload has the guest load its driver again and again, and go in the end.
func TestReload(t *testing.T) {
	h := newHost(t, nil)
	h.add(vif0, "mtu", "9000")
	i := h.ifs.get(vif0)
	for range 3 {
		f := h.connect(vif0, plain)
		exchange(t, f.queues[0], f.tap(0))
		f.write("state", "5")
		h.Await(h.back(vif0, "state"), "5")
		f.write("state", "6")
		h.Await(h.back(vif0, "state"), "6")
		if held := h.Held(); held != "" {
			t.Errorf("held of a closed frontend: %s", held)
		}
		h.stop()
		h.run() // the hotplug script does not run again
		f.write("state", "1")
		h.Await(h.back(vif0, "state"), "2")
		if h.ifs.get(vif0) != i {
			t.Error("another interface, which is on no bridge")
		}
	}
	if i.mtu != 9000 {
		t.Errorf("MTU is %d", i.mtu)
	}
	h.Detach("vif", "vif", vif0, true)
	h.Await(h.back(vif0, "state"), "6")
	if err := h.Store.Rm(context.Background(), "/local/domain/0/backend/vif/7"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the interface to be removed", func() bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		return i.removed
	})
}

func TestGuestThatGivesNoPages(t *testing.T) {
	for _, rxNotify := range []bool{true, false} {
		t.Run(fmt.Sprint("rx-notify ", rxNotify), func(t *testing.T) {
			h := newHost(t, func(d *Driver) {
				d.patient = patience{drain: 30 * time.Millisecond, carrier: 60 * time.Millisecond}
			})
			h.add(vif0)
			s := plain
			if !rxNotify {
				s.without = []string{"feature-rx-notify"}
			}
			f := h.connect(vif0, s)
			p, tap := f.queues[0], f.tap(0)
			for range 3 {
				for n := 0; n < 30 || rxNotify && !tap.isDark(); n++ {
					if n == 3000 {
						t.Fatal("the interface keeps its carrier")
					}
					tap.send(packet.VNet{}, ethFrame(60, 1))
					time.Sleep(5 * time.Millisecond)
				}
				p.lend(20)
				eventually(t, "the carrier to come", func() bool { return !tap.isDark() })
				eventually(t, "old frames to be dropped or taken", func() bool {
					tap.mu.Lock()
					defer tap.mu.Unlock()
					return len(tap.toGuest) == 0
				})
				tap.send(packet.VNet{}, ethFrame(77, 2))
				n := 0
				for len(p.receive().b) != 77 {
					n++
				}
				if n > 45 { // pages that were left before, and that were lent now
					t.Errorf("%d frames came late", n)
				}
			}
		})
	}
}

// TestWaitsForPages holds that a frame waits whole until it finds room.
func TestWaitsForPages(t *testing.T) {
	h := newHost(t, nil)
	h.add(vif0)
	f := h.connect(vif0, shape{queues: 1}) // one channel for both rings
	p, tap := f.queues[0], f.tap(0)
	frame := ethFrame(20000, 4)
	tap.send(packet.VNet{}, frame)
	for range 4 {
		p.lend(1)
		time.Sleep(5 * time.Millisecond)
	}
	if ready, _ := p.rx.Ready(); ready != 0 {
		t.Errorf("%d slots of a frame that has no room", ready)
	}
	p.lend(1)
	if got := p.receive(); !bytes.Equal(got.b, frame) {
		t.Errorf("received %d bytes", len(got.b))
	}
}

func TestRateLimit(t *testing.T) {
	h := newHost(t, nil)
	h.add(vif0, "rate", "100000,100000") // 1 MB/s, and 128 KiB at once
	f := h.connect(vif0, plain)
	p := f.queues[0]
	burst := func(n int) time.Duration {
		start := time.Now()
		for range n {
			p.send(ethFrame(4000, 1), 0, 0, 4000)
		}
		p.answers(n)
		return time.Since(start)
	}
	if d := burst(32); d > 100*time.Millisecond {
		t.Errorf("a first burst took %v", d)
	}
	if d := burst(75); d < 200*time.Millisecond || d > 3*time.Second {
		t.Errorf("300000 bytes at 1 MB/s took %v", d)
	}
	if err := h.Store.Write(context.Background(), h.back(vif0, "rate"), "1000000000,1000"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	if d := burst(75); d > 200*time.Millisecond {
		t.Errorf("with a higher limit it took %v", d)
	}
}

// TestEndsWhileLimited ends the daemon while a packet waits for the rate limit: the
// guest has its answer.
func TestEndsWhileLimited(t *testing.T) {
	h := newHost(t, nil)
	h.add(vif0, "rate", "1,1000000")
	f := h.connect(vif0, plain)
	p := f.queues[0]
	for range 40 {
		p.send(ethFrame(4000, 1), 0, 0, 4000)
	}
	p.answers(32) // 128 KiB go at once
	h.stop()
	a := p.answers(1)
	if a[0].Status == netif.StatusOK {
		t.Errorf("the packet that waited is answered %+v", a[0])
	}
	if n := p.tx.Free(); n < 256-7 {
		t.Errorf("only %d slots are free", n)
	}
}

func TestAntispoof(t *testing.T) {
	h := newHost(t, func(d *Driver) { d.Antispoof = AntispoofIP })
	h.add(vif0, "ip", "10.0.0.1 192.168.7.0/24")
	f := h.connect(vif0, plain)
	p := f.queues[0]
	foreign := tcpFrame(100)
	foreign[14+15] = 9
	for i, frame := range [][]byte{tcpFrame(100), foreign, ethFrame(60, 0)} {
		p.send(frame, 0, 0, 4000)
		if a := p.answers(1)[0]; (a.Status == netif.StatusOK) != (i == 0) {
			t.Errorf("frame %d is answered %+v", i, a)
		}
	}
	if n := len(f.tap(0).sent()); n != 1 {
		t.Errorf("%d frames went out", n)
	}
	bad := backends.ID{Dom: 7, Dev: 1}
	h.AddDevice("vif", "vif", bad, map[string]string{"mac": "none", "hotplug-status": "connected"})
	h.Await(h.back(bad, "state"), "2")
	g := h.front(bad, plain)
	g.write("state", "4")
	h.Await(h.back(bad, "state"), "5")
}

func TestMulticastControl(t *testing.T) {
	h := newHost(t, nil)
	h.add(vif0)
	f := h.connect(vif0, plain)
	p, tap := f.queues[0], f.tap(0)
	group := [6]byte{0x01, 0, 0x5e, 1, 2, 3}
	frame := ethFrame(99, 0)
	copy(frame, group[:])
	ask := func(typ netif.ExtraType) netif.Status {
		b := make([]byte, netif.TxSlotSize)
		netif.TxRequest{ID: 3, Flags: netif.TxExtraInfo}.Put(b)
		p.tx.Put(b)
		e := netif.Extra{Type: typ, Addr: group}
		e.Put(b)
		p.tx.Put(b)
		p.pushTx()
		return p.answers(2)[0].Status
	}
	came := func() bool {
		p.lend(2)
		tap.send(packet.VNet{}, frame)
		tap.send(packet.VNet{}, ethFrame(60, 0))
		if len(p.receive().b) == 60 {
			return false
		}
		return len(p.receive().b) == 60
	}
	if !came() {
		t.Error("filtered before it was asked for")
	}
	f.write("request-multicast-control", "1")
	eventually(t, "the filter", func() bool { return !came() })
	if s := ask(netif.ExtraMcastAdd); s != netif.StatusOK || !came() {
		t.Errorf("add is answered %d, and then it does not come", s)
	}
	if s := ask(netif.ExtraMcastDel); s != netif.StatusOK || came() {
		t.Errorf("del is answered %d, and then it comes", s)
	}
	f.write("request-multicast-control", "0")
	eventually(t, "no filter", came)
}

// TestOneWakeUp holds that what the host answers a packet with at once is there when the
// packet's own answer is, so that the guest need not wake up twice.
func TestOneWakeUp(t *testing.T) {
	h := newHost(t, nil)
	h.add(vif0)
	f := h.connect(vif0, plain)
	p, tap := f.queues[0], f.tap(0)
	tap.mu.Lock()
	tap.answers = true
	tap.mu.Unlock()
	p.lend(100)
	for n := range 100 {
		if n%10 == 0 {
			time.Sleep(2 * nap) // long enough to park
		}
		frame := ethFrame(60+n, byte(n))
		p.send(frame, 0, 0, 4000)
		p.answers(1)
		if ready, err := p.rx.Ready(); ready == 0 || err != nil {
			t.Fatalf("packet %d is answered before what came for it: %v", n, err)
		}
		if got := p.receive(); !bytes.Equal(got.b, frame) {
			t.Fatalf("packet %d comes back with %d bytes", n, len(got.b))
		}
	}
}

// TestHostRefuses holds that the guest's ring goes on when the host takes nothing.
func TestHostRefuses(t *testing.T) {
	h := newHost(t, nil)
	h.add(vif0)
	f := h.connect(vif0, plain)
	f.tap(0).mu.Lock()
	f.tap(0).refuse = errRefused
	f.tap(0).mu.Unlock()
	for range 300 {
		f.queues[0].send(ethFrame(60, 0), 0, 0, 4000)
		if a := f.queues[0].answers(1)[0]; a.Status != netif.StatusDropped {
			t.Fatalf("answer %+v", a)
		}
	}
}

// TestKernelsDriver holds that the daemon keeps out of the kernel's way.
func TestKernelsDriver(t *testing.T) {
	h := newHost(t, nil)
	mkdir(t, h.drv.Sys, "bus/xen-backend/devices/vif-7-0/driver")
	h.AddDevice("vif", "vif", vif0, nil)
	other := backends.ID{Dom: 7, Dev: 1}
	h.add(other)
	if s := h.Read(h.back(vif0, "state")); s != "1" {
		t.Errorf("the kernel's vif is in state %s", s)
	}
	mkdir(t, h.drv.Sys, "bus/xen-backend/drivers/vif")
	if _, err := New(Options{Sys: h.drv.Sys}); err == nil {
		t.Error("starts beside the kernel's driver")
	}
}
