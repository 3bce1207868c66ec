package backends_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"goxl/backends"
	"goxl/backends/backtest"
	"goxl/backends/ring"
	"goxl/domains/logs"
	"goxl/xenctrl/abi"
)

// echoes is a driver whose devices answer each request with its complement.
type echoes struct {
	refuse, deaf atomic.Bool
	foreign      atomic.Pointer[func()] // called before a device is said to be another's
	notOurs,
	opened, closed, released, changed atomic.Int32
}

func (e *echoes) Open(ctx context.Context, n *backends.Node) (backends.Device, error) {
	k, err := n.Back(ctx, "ours")
	switch {
	case err != nil:
		return nil, err
	case k["ours"] != "1":
		e.notOurs.Add(1)
		if f := e.foreign.Swap(nil); f != nil {
			(*f)()
		}
		return nil, backends.ErrNotOurs
	case e.refuse.Load():
		return nil, errors.New("no such image")
	}
	e.opened.Add(1)
	return &echo{drv: e, dom: n.ID.Dom}, nil
}

type echo struct {
	drv  *echoes
	dom  abi.DomID
	mem  backends.Mapping
	port *backends.Channel
}

func (e *echo) Features(context.Context) ([]backends.Key, error) {
	return []backends.Key{backends.Flag("feature-echo", true)}, nil
}

func (e *echo) Connect(ctx context.Context, l *backends.Link) ([]backends.Key, error) {
	return []backends.Key{backends.Uint("connected-to", uint64(l.Dom()))}, e.Reattach(ctx, l)
}

func (e *echo) Reattach(ctx context.Context, l *backends.Link) error {
	k, err := l.Front(ctx, "ring-ref", "event-channel")
	if err != nil {
		return err
	}
	ref, err := k.Need("ring-ref", 0, 1<<32-1)
	if err != nil {
		return err
	}
	port, err := k.Need("event-channel", 1, 1<<17)
	if err != nil {
		return err
	}
	if e.mem, err = l.Map(abi.GrantRef(ref)); err != nil {
		return err
	}
	e.port, err = l.Bind(abi.Port(port))
	return err
}

func (e *echo) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { e.port.Close() })
	defer stop()
	return e.mem.With(func(b []byte) error {
		r, err := ring.NewBack(b, ring.NetCtrlSlot)
		if err != nil {
			return err
		}
		buf := make([]byte, 16)
		for e.port.Wait() == nil {
			for more := true; more; {
				if more, err = r.Next(buf); err != nil {
					return err
				}
				if more {
					binary.LittleEndian.PutUint32(buf, ^binary.LittleEndian.Uint32(buf))
					r.Put(buf)
				} else if more, err = r.Arm(1); err != nil {
					return err
				}
			}
			if r.Publish() {
				_ = e.port.Notify()
			}
			_ = e.port.Unmask()
		}
		return nil
	})
}

func (e *echo) Release() error      { e.drv.released.Add(1); return nil }
func (e *echo) Close() error        { e.drv.closed.Add(1); return nil }
func (e *echo) FrontKeys() []string { return []string{"wish"} }
func (e *echo) Changed(context.Context) error {
	e.drv.changed.Add(1)
	if e.drv.deaf.Load() {
		return errors.New("cannot look")
	}
	return nil
}

// bench is a machine with a running manager.
type bench struct {
	*backtest.Machine
	drv  *echoes
	stop func()
	log  *logs.Logger
}

func start(t *testing.T) *bench {
	b := &bench{Machine: backtest.New(t), drv: &echoes{}}
	b.run(t)
	return b
}

// run starts a manager, as after a restart of the daemon.
func (b *bench) run(t *testing.T) {
	store := b.Dial()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	m := backends.New(backends.Options{Store: store, Xen: b, Kind: "echo", Driver: b.drv, Log: b.log})
	go func() { done <- m.Run(ctx) }()
	var once sync.Once
	b.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run() = %v", err)
			}
			store.Close()
			if h := b.Held(); h != "" {
				t.Errorf("after the manager ended, it holds %s", h)
			}
		})
	}
	t.Cleanup(b.stop)
}

// guestEcho is the frontend's half.
type guestEcho struct {
	g    *backtest.Guest
	id   backends.ID
	page backtest.Page
	port *backtest.Port
	ring *ring.Front
}

func (b *bench) back(id backends.ID, key string) string {
	return backends.BackPath(0, "echo", id) + "/" + key
}

func (b *bench) front(t *testing.T, id backends.ID) *guestEcho {
	g := b.Guest(id.Dom)
	f := &guestEcho{g: g, id: id, page: g.Page(), port: g.Port()}
	var err error
	if f.ring, err = ring.NewFront(f.page.Bytes, ring.NetCtrlSlot); err != nil {
		t.Fatal(err)
	}
	f.write("ring-ref", fmt.Sprint(f.page.Ref))
	f.write("event-channel", fmt.Sprint(f.port.ID))
	return f
}

func (f *guestEcho) write(key, v string) {
	f.g.Write(fmt.Sprintf("device/echo/%d/%s", f.id.Dev, key), v)
}

func (f *guestEcho) call(t *testing.T, v uint32) {
	t.Helper()
	buf := make([]byte, 16)
	binary.LittleEndian.PutUint32(buf, v)
	f.ring.Put(buf)
	if f.ring.Publish() {
		f.port.Notify()
	}
	for {
		ok, err := f.ring.Next(buf)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			break
		}
		if more, _ := f.ring.Arm(1); !more {
			f.port.Wait()
		}
	}
	if got := binary.LittleEndian.Uint32(buf); got != ^v {
		t.Errorf("the answer to %#x is %#x", v, got)
	}
}

var ours = map[string]string{"ours": "1"}

func TestLifeOfADevice(t *testing.T) {
	b := start(t)
	id := backends.ID{Dom: 7, Dev: 3}
	b.AddDevice("echo", "echo", id, ours)
	b.Await(b.back(id, "state"), "2")
	if v := b.Read(b.back(id, "feature-echo")); v != "1" {
		t.Errorf("feature-echo is %q", v)
	}
	for range 3 { // the guest loads its driver three times
		f := b.front(t, id)
		f.write("state", "3")
		b.Await(b.back(id, "state"), "4")
		if v := b.Read(b.back(id, "connected-to")); v != "7" {
			t.Errorf("connected-to is %q", v)
		}
		f.write("state", "4")
		for n := range uint32(300) {
			f.call(t, n)
		}
		f.write("state", "5")
		b.Await(b.back(id, "state"), "5")
		f.call(t, 9) // still served
		f.write("state", "6")
		b.Await(b.back(id, "state"), "6")
		if h := b.Held(); h != "" {
			t.Errorf("held of a closed frontend: %s", h)
		}
		f.write("state", "1")
		b.Await(b.back(id, "state"), "2")
	}
	b.Detach("echo", "echo", id, false)
	b.Await(b.back(id, "state"), "6")
	if n := b.drv.released.Load(); n < 3 {
		t.Errorf("released %d times", n)
	}
}

func TestDetachByForceAndSudden(t *testing.T) {
	for name, end := range map[string]func(*bench, backends.ID){
		"by force": func(b *bench, id backends.ID) {
			b.Detach("echo", "echo", id, true)
			b.Await(b.back(id, "state"), "6")
		},
		"all nodes removed": func(b *bench, id backends.ID) {
			ctx := context.Background()
			_ = b.Store.Rm(ctx, backends.FrontPath("echo", id))
			_ = b.Store.Rm(ctx, "/local/domain/0/backend/echo/7")
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t)
			id := backends.ID{Dom: 7, Dev: 0}
			b.AddDevice("echo", "echo", id, ours)
			b.Await(b.back(id, "state"), "2")
			f := b.front(t, id)
			f.write("state", "4") // as network frontends do
			b.Await(b.back(id, "state"), "4")
			f.call(t, 1)
			end(b, id)
			eventually(t, func() string { return b.Held() })
			b.stop()
			if v := b.Read(b.back(id, "state")); name != "by force" && v != "" {
				t.Errorf("the removed node was made again: %q", v)
			}
			if o, c := b.drv.opened.Load(), b.drv.closed.Load(); o != c {
				t.Errorf("opened %d, closed %d", o, c)
			}
		})
	}
}

// TestRestart stops the manager under a connected guest and starts another one: the
// guest's next request is answered, on the same ring.
func TestRestart(t *testing.T) {
	b := start(t)
	id := backends.ID{Dom: 9, Dev: 1}
	b.AddDevice("echo", "echo", id, ours)
	b.Await(b.back(id, "state"), "2")
	f := b.front(t, id)
	f.write("state", "3")
	b.Await(b.back(id, "state"), "4")
	f.write("state", "4")
	for n := range uint32(3) {
		f.call(t, n)
		b.stop()
		if v := b.Read(b.back(id, "state")); v != "4" {
			t.Fatalf("state %q while nobody serves", v)
		}
		b.run(t)
	}
	f.call(t, 77)
}

func TestMisbehavingFrontends(t *testing.T) {
	for name, do := range map[string]func(*bench, *guestEcho){
		"no ring": func(b *bench, f *guestEcho) {
			_ = f.g.Store.Rm(context.Background(), backends.FrontPath("echo", f.id)+"/ring-ref")
		},
		"a word as ring":      func(b *bench, f *guestEcho) { f.write("ring-ref", "all of it") },
		"a reference unknown": func(b *bench, f *guestEcho) { f.write("ring-ref", "4000000000") },
		"a negative port":     func(b *bench, f *guestEcho) { f.write("event-channel", "-4") },
		"a port unknown":      func(b *bench, f *guestEcho) { f.write("event-channel", "9999") },
		"a revoked grant":     func(b *bench, f *guestEcho) { f.g.Revoke(f.page) },
		"a broken ring": func(b *bench, f *guestEcho) {
			binary.LittleEndian.PutUint32(f.page.Bytes, 1<<31)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t)
			bad, good := backends.ID{Dom: 5, Dev: 0}, backends.ID{Dom: 6, Dev: 0}
			for _, id := range []backends.ID{good, bad} {
				b.AddDevice("echo", "echo", id, ours)
				b.Await(b.back(id, "state"), "2")
			}
			ok := b.front(t, good)
			ok.write("state", "3")
			b.Await(b.back(good, "state"), "4")
			f := b.front(t, bad)
			do(b, f)
			f.write("state", "4")
			b.Await(b.back(bad, "state"), "5")
			ok.call(t, 4) // others are served on
			if v := b.Read(b.back(bad, "error")); v == "" {
				t.Error("no error is told")
			}
			f.write("state", "6")
			b.Await(b.back(bad, "state"), "6")
			f.write("state", "1")
			b.Await(b.back(bad, "state"), "2")
			f = b.front(t, bad)
			f.write("state", "4")
			b.Await(b.back(bad, "state"), "4")
			f.call(t, 5) // who behaves again is served again
		})
	}
}

// TestPingPong writes states as fast as it can. Whatever the guest does, in the end a
// decent frontend is served, and nothing was lost on the way.
func TestPingPong(t *testing.T) {
	b := start(t)
	id := backends.ID{Dom: 5, Dev: 0}
	b.AddDevice("echo", "echo", id, ours)
	b.Await(b.back(id, "state"), "2")
	f := b.front(t, id)
	for n := range 400 {
		f.write("state", fmt.Sprint([]int{4, 6, 1, 3, 5, 0, 8, 1, 4, 6, 1}[n%11]))
		f.write(fmt.Sprintf("state/%d", n), "flood")
	}
	f.write("state", "6")
	eventually(t, func() string { return b.Held() })
	b.Await(b.back(id, "state"), "6")
	f.write("state", "1")
	b.Await(b.back(id, "state"), "2")
	f = b.front(t, id)
	f.write("state", "4")
	b.Await(b.back(id, "state"), "4")
	f.call(t, 5)
}

// TestOursAfterAll gives the driver a device while it looks at it in vain.
func TestOursAfterAll(t *testing.T) {
	b := start(t)
	id := backends.ID{Dom: 5, Dev: 0}
	give := func() {
		if err := b.Store.Write(context.Background(), b.back(id, "ours"), "1"); err != nil {
			t.Error(err)
		}
		time.Sleep(50 * time.Millisecond) // the event is there before we are done
	}
	b.drv.foreign.Store(&give)
	b.AddDevice("echo", "echo", id, nil)
	b.Await(b.back(id, "state"), "2")
}

func TestNotOursAndUnopenable(t *testing.T) {
	b := start(t)
	id := backends.ID{Dom: 5, Dev: 0}
	b.AddDevice("echo", "echo", id, nil)
	eventually(t, func() string {
		if b.drv.notOurs.Load() == 0 {
			return "the driver was not asked"
		}
		return ""
	})
	b.drv.refuse.Store(true)
	if err := b.Store.Write(context.Background(), b.back(id, "ours"), "1"); err != nil {
		t.Fatal(err)
	}
	b.Await(b.back(id, "state"), "6")
	if v := b.Read(b.back(id, "hotplug-error")); v != "no such image" {
		t.Errorf("hotplug-error is %q", v)
	}
	f := b.front(t, id)
	b.drv.refuse.Store(false)
	f.write("state", "6")
	f.write("state", "1")
	b.Await(b.back(id, "state"), "2")
}

// TestManyDevices adds devices of many guests while others go.
func TestManyDevices(t *testing.T) {
	b := start(t)
	var wg sync.WaitGroup
	for dom := abi.DomID(1); dom <= 20; dom++ {
		for dev := range 3 {
			id := backends.ID{Dom: dom, Dev: dev}
			b.AddDevice("echo", "echo", id, ours)
			f := b.front(t, id)
			wg.Go(func() {
				b.Await(b.back(id, "state"), "2")
				f.write("state", "3")
				b.Await(b.back(id, "state"), "4")
				f.call(t, uint32(dev))
				b.Detach("echo", "echo", id, dev == 1)
				if dev != 1 {
					f.write("state", "6")
				}
				b.Await(b.back(id, "state"), "6")
				_ = b.Store.Rm(context.Background(), backends.BackPath(0, "echo", id))
			})
		}
	}
	wg.Wait()
	eventually(t, func() string { return b.Held() })
	eventually(t, func() string {
		if o, c := b.drv.opened.Load(), b.drv.closed.Load(); o != 60 || c != 60 {
			return fmt.Sprintf("opened %d, closed %d", o, c)
		}
		return ""
	})
}

// TestFailingChangedKeepsNobody lets a device fail to follow its nodes: it can be
// detached nevertheless.
func TestFailingChangedKeepsNobody(t *testing.T) {
	b := start(t)
	b.drv.deaf.Store(true)
	id := backends.ID{Dom: 5, Dev: 0}
	b.AddDevice("echo", "echo", id, ours)
	b.Await(b.back(id, "state"), "2")
	f := b.front(t, id)
	f.write("state", "4")
	b.Await(b.back(id, "state"), "4")
	f.call(t, 1)
	b.Detach("echo", "echo", id, false)
	f.write("state", "6")
	b.Await(b.back(id, "state"), "6")
}

// TestEndedBeforeItBegan runs a manager whose context has ended, which is no error.
func TestEndedBeforeItBegan(t *testing.T) {
	mach := backtest.New(t)
	m := backends.New(backends.Options{Store: mach.Dial(), Xen: mach, Kind: "echo", FrontKind: "echo", Driver: &echoes{}})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := m.Run(ctx); err != nil {
		t.Error(err)
	}
}
