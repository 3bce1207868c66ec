//go:build linux

package netback

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"goxl/backends"
	"goxl/backends/backtest"
	"goxl/backends/ring"
	"goxl/domains/logs"
	"goxl/netback/netif"
	"goxl/netback/packet"
	"goxl/netback/tap"
	"goxl/xenctrl/abi"
)

// fakeTap is an interface in memory.
type fakeTap struct {
	mu       sync.Mutex
	cond     sync.Cond
	toGuest  [][]byte
	fromVif  [][]byte
	ended    error
	dark     bool
	refuse   error
	offloads tap.Offloads
	closed   bool
}

func newFakeTap(o tap.Offloads) *fakeTap {
	t := &fakeTap{offloads: o}
	t.cond.L = &t.mu
	return t
}

func (t *fakeTap) Read(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.toGuest) == 0 && t.ended == nil {
		t.cond.Wait()
	}
	return t.take(b)
}

func (t *fakeTap) TryRead(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.take(b)
}

func (t *fakeTap) take(b []byte) (int, error) {
	if t.ended != nil || len(t.toGuest) == 0 {
		return 0, t.ended
	}
	n := copy(b, t.toGuest[0])
	t.toGuest = t.toGuest[1:]
	return n, nil
}

func (t *fakeTap) Write(b []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refuse != nil {
		return t.refuse
	}
	t.fromVif = append(t.fromVif, slices.Clone(b))
	t.cond.Broadcast()
	return nil
}

func (t *fakeTap) end(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended == nil {
		t.ended = err
	}
	t.cond.Broadcast()
	return nil
}

func (t *fakeTap) Interrupt() error { return t.end(os.ErrDeadlineExceeded) }

func (t *fakeTap) Close() error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	return t.end(os.ErrClosed)
}

func (t *fakeTap) SetCarrier(on bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dark = !on
	return nil
}

func (t *fakeTap) isDark() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.dark
}

// send is the host sending a frame to the guest.
func (t *fakeTap) send(h packet.VNet, f []byte) {
	b := make([]byte, packet.VNetSize)
	h.Put(b)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.toGuest = append(t.toGuest, append(b, f...))
	t.cond.Broadcast()
}

func (t *fakeTap) sent() [][]byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.fromVif)
}

// fakeIface is the host's side of a vif.
type fakeIface struct {
	mu      sync.Mutex
	taps    []*fakeTap
	mtu     int
	removed bool
}

func (i *fakeIface) Attach(n int, o tap.Offloads) ([]tapQueue, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.taps = nil
	var list []tapQueue
	for range n {
		t := newFakeTap(o)
		i.taps, list = append(i.taps, t), append(list, t)
	}
	return list, nil
}

func (i *fakeIface) SetMTU(mtu int) error { i.mtu = mtu; return nil }

func (i *fakeIface) Remove() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.removed = true
	return nil
}

// fakeIfaces remembers all interfaces.
type fakeIfaces struct {
	mu  sync.Mutex
	all map[backends.ID]*fakeIface
}

func (f *fakeIfaces) open(id backends.ID, keep bool) (iface, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := f.all[id]; i != nil && keep && !i.removed {
		return i, false, nil
	}
	f.all[id] = &fakeIface{}
	return f.all[id], true, nil
}

func (f *fakeIfaces) get(id backends.ID) *fakeIface {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.all[id]
}

// host is a machine with a running daemon.
type host struct {
	*backtest.Machine
	t    *testing.T
	drv  *Driver
	ifs  *fakeIfaces
	stop func()
}

func newHost(t *testing.T, change func(*Driver)) *host {
	t.Helper()
	d, err := New(Options{StateDir: t.TempDir(), Sys: t.TempDir(), MaxQueues: 4})
	if err != nil {
		t.Fatal(err)
	}
	if testing.Verbose() {
		d.Log = logs.New(zapcore.NewCore(zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()), os.Stderr, zap.InfoLevel))
	}
	h := &host{Machine: backtest.New(t), t: t, drv: d, ifs: &fakeIfaces{all: map[backends.ID]*fakeIface{}}}
	d.ifaces, d.hotplugWait = h.ifs, 50*time.Millisecond
	if change != nil {
		change(d)
	}
	h.run()
	return h
}

// run starts the daemon, as after a restart.
func (h *host) run() {
	store := h.Dial()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	m := backends.New(backends.Options{Store: store, Xen: h, Kind: "vif", Driver: h.drv, Log: h.drv.Log})
	go func() { done <- m.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Errorf("Run() = %v", err)
		}
		store.Close()
		if held := h.Held(); held != "" {
			h.t.Errorf("after the daemon ended, it holds %s", held)
		}
	})
	h.t.Cleanup(h.stop)
}

func (h *host) back(id backends.ID, key string) string {
	return backends.BackPath(0, "vif", id) + "/" + key
}

const guestMAC = "00:16:3e:01:02:03"

// add makes a vif as the toolstack does and waits until a guest may connect.
func (h *host) add(id backends.ID, keys ...string) {
	h.t.Helper()
	back := map[string]string{"mac": guestMAC, "handle": fmt.Sprint(id.Dev), "hotplug-status": "connected"}
	for i := 0; i < len(keys); i += 2 {
		back[keys[i]] = keys[i+1]
	}
	h.AddDevice("vif", "vif", id, back)
	h.Await(h.back(id, "state"), "2")
}

// netfront is a guest's half.
type netfront struct {
	t      *testing.T
	h      *host
	g      *backtest.Guest
	id     backends.ID
	queues []*frontPair
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
		if r.Flags&netif.RxExtraInfo != 0 {
			f.gso = netif.ParseExtra(p.response()).GSO
			p.f.g.Free(p.buffer[p.rxIndex])
			delete(p.buffer, p.rxIndex)
			p.rxIndex++
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

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

var errRefused = errors.New("refused")
