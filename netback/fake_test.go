//go:build linux

package netback

import (
	"context"
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
	"goxl/domains/logs"
	"goxl/netback/packet"
	"goxl/netback/tap"
)

// fakeTap is an interface in memory.
type fakeTap struct {
	mu       sync.Mutex
	sign     *backtest.Sign // there is something in toGuest, or all has ended
	toGuest  [][]byte
	fromVif  [][]byte
	ended    error
	dark     bool
	refuse   error
	answers  bool // the host sends each frame back before Write returns
	offloads tap.Offloads
}

func newFakeTap(o tap.Offloads) *fakeTap {
	s, err := backtest.NewSign()
	if err != nil {
		panic(err)
	}
	return &fakeTap{offloads: o, sign: s}
}

func (t *fakeTap) FD() int { return t.sign.FD() }

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
	t.sign.Show(len(t.toGuest) > 0)
	return n, nil
}

func (t *fakeTap) Write(b []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refuse != nil {
		return t.refuse
	}
	t.fromVif = append(t.fromVif, slices.Clone(b))
	if t.answers {
		t.toGuest = append(t.toGuest, slices.Clone(b))
		t.sign.Show(true)
	}
	return nil
}

func (t *fakeTap) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = os.ErrClosed
	t.sign.Close()
	return nil
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
	t.sign.Show(true)
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

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

var errRefused = errors.New("refused")
