package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// guestEnd is a guest's half of a ring, with a mapping of its own.
type guestEnd struct{ page []byte }

func (g *guestEnd) word(at int) *uint32 { return (*uint32)(unsafe.Pointer(&g.page[at])) }

// print writes as much of b as fits.
func (g *guestEnd) print(b []byte) int {
	prod := atomic.LoadUint32(g.word(3084))
	room := 2048 - (prod - atomic.LoadUint32(g.word(3080)))
	b = b[:min(len(b), int(room))]
	for i, c := range b {
		g.page[1024+(prod+uint32(i))%2048] = c
	}
	atomic.StoreUint32(g.word(3084), prod+uint32(len(b)))
	return len(b)
}

// read takes at most n bytes of what was typed.
func (g *guestEnd) read(n int) (b []byte) {
	cons := atomic.LoadUint32(g.word(3072))
	have := atomic.LoadUint32(g.word(3076)) - cons
	for range min(n, int(have)) {
		b = append(b, g.page[cons%1024])
		cons++
	}
	atomic.StoreUint32(g.word(3072), cons)
	return b
}

// fakeHost is a machine whose guests are in this process. A guest's page is memory
// that both sides have mapped at different addresses.
type fakeHost struct {
	t       testing.TB
	mu      sync.Mutex
	guests  map[abi.DomID]*fakeGuest
	made    []*fakeGuest // also those that are gone
	xenlog  []byte
	xenPort *fakePort
}

// fakeGuest is a domain with a console.
type fakeGuest struct {
	guestEnd
	host   *fakeHost
	id     abi.DomID
	info   xenctrl.DomainInfo
	fd     int
	ref    string // ring-ref
	port   abi.Port
	events chan struct{} // from the daemon

	// Under the host's lock.
	bound  *fakePort
	mapped int
	other  bool // somebody else has the port
}

// newFakeHost returns a machine without guests. When the test ends, after all that
// was started later, nothing of them may be in use.
func newFakeHost(t testing.TB) *fakeHost {
	h := &fakeHost{t: t, guests: map[abi.DomID]*fakeGuest{}}
	t.Cleanup(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, g := range h.made {
			if g.mapped != 0 || g.bound != nil {
				t.Errorf("domain %d: %d mappings left, port bound %v", g.id, g.mapped, g.bound != nil)
			}
			if err := errors.Join(unix.Munmap(g.page), unix.Close(g.fd)); err != nil {
				t.Error(err)
			}
		}
	})
	return h
}

// add makes a domain.
func (h *fakeHost) add(id abi.DomID) *fakeGuest {
	h.t.Helper()
	fd, err := unix.MemfdCreate("xentest-console", unix.MFD_CLOEXEC)
	if err == nil {
		err = unix.Ftruncate(fd, pageSize)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	page, err := unix.Mmap(fd, 0, pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		h.t.Fatal(err)
	}
	g := &fakeGuest{guestEnd: guestEnd{page}, host: h, id: id, fd: fd, ref: "1234", port: 2, events: make(chan struct{}, 1)}
	g.info.ID = id
	page[connected] = 1
	h.mu.Lock()
	defer h.mu.Unlock()
	h.guests[id] = g
	g.info.Handle[0] = byte(len(h.made) + 1)
	h.made = append(h.made, g)
	return g
}

func (h *fakeHost) remove(id abi.DomID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.guests, id)
}

func (h *fakeHost) Domains() (all []xenctrl.DomainInfo, _ error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	all = append(all, xenctrl.DomainInfo{}) // dom0
	for _, g := range h.guests {
		all = append(all, g.info)
	}
	return all, nil
}

func (h *fakeHost) MapPrimary(dom abi.DomID, frame abi.GFN) (Page, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.guests[dom]
	if g == nil || fmt.Sprint(uint64(frame)) != g.ref {
		return nil, fmt.Errorf("map frame %d of domain %d: %w", frame, dom, syscall.EINVAL)
	}
	b, err := unix.Mmap(g.fd, 0, pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	g.mapped++
	return &fakePage{g: g, b: b}, nil
}

func (h *fakeHost) Bind(dom abi.DomID, remote abi.Port) (Port, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.guests[dom]
	if g == nil || g.port != remote || g.bound != nil || g.other {
		return nil, fmt.Errorf("bind port %d of domain %d: %w", remote, dom, syscall.EINVAL)
	}
	g.bound = newFakePort(h, g)
	g.bound.event()
	return g.bound, nil
}

func (h *fakeHost) HypervisorLog(index uint32) ([]byte, uint32, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return bytes.Clone(h.xenlog[index:]), uint32(len(h.xenlog)), nil
}

func (h *fakeHost) BindHypervisorLog() (Port, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.xenPort != nil {
		return nil, syscall.EEXIST
	}
	h.xenPort = newFakePort(h, nil)
	return h.xenPort, nil
}

// xenSays appends to the hypervisor's log.
func (h *fakeHost) xenSays(text string) {
	h.mu.Lock()
	h.xenlog = append(h.xenlog, text...)
	p := h.xenPort
	h.mu.Unlock()
	if p != nil {
		p.event()
	}
}

// fakePage is the daemon's mapping.
type fakePage struct {
	g  *fakeGuest
	mu sync.RWMutex
	b  []byte
}

func (p *fakePage) With(f func([]byte) error) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.b == nil {
		return os.ErrClosed
	}
	return f(p.b)
}

func (p *fakePage) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.b == nil {
		return nil
	}
	b := p.b
	p.b = nil
	p.g.host.mu.Lock()
	p.g.mapped--
	p.g.host.mu.Unlock()
	return unix.Munmap(b)
}

// fakePort delivers an event only while it is armed, as the kernel does.
type fakePort struct {
	h *fakeHost
	g *fakeGuest // nil: the hypervisor's

	mu             sync.Mutex
	armed, pending bool
	ready          chan struct{}
	events         int // delivered
}

func newFakePort(h *fakeHost, g *fakeGuest) *fakePort {
	return &fakePort{h: h, g: g, armed: true, ready: make(chan struct{}, 1)}
}

func (p *fakePort) event() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.armed {
		p.pending = true
		return
	}
	p.armed, p.pending = false, false
	p.events++
	p.ready <- struct{}{}
}

func (p *fakePort) delivered() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.events
}

func (p *fakePort) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.ready:
		return nil
	}
}

func (p *fakePort) Rearm() error {
	p.mu.Lock()
	p.armed = true
	again := p.pending
	p.mu.Unlock()
	if again {
		p.event()
	}
	return nil
}

func (p *fakePort) Notify() error {
	wake(p.g.events)
	return nil
}

func (p *fakePort) Bound() (bool, error) { return true, nil }

func (p *fakePort) Close() error {
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	if p.g == nil {
		p.h.xenPort = nil
	} else if p.g.bound == p {
		p.g.bound = nil
	}
	return nil
}

// notify sends the daemon an event, if it listens.
func (g *fakeGuest) notify() {
	g.host.mu.Lock()
	p := g.bound
	g.host.mu.Unlock()
	if p != nil {
		p.event()
	}
}

// says prints all of text, waiting for room as a guest does. Any goroutine may call
// it.
func (g *fakeGuest) says(t testing.TB, text string) {
	t.Helper()
	for b, end := []byte(text), time.Now().Add(20*time.Second); len(b) > 0; {
		n := g.print(b)
		b = b[n:]
		g.notify()
		if n == 0 {
			select {
			case <-g.events:
			case <-time.After(10 * time.Millisecond):
			}
		}
		if time.Now().After(end) {
			t.Errorf("domain %d cannot print: %d bytes left", g.id, len(b))
			return
		}
	}
}

// hears waits for typed text.
func (g *fakeGuest) hears(t testing.TB, want string) {
	t.Helper()
	var got []byte
	eventually(t, fmt.Sprintf("domain %d to read %q", g.id, want), func() bool {
		b := g.read(1024)
		if len(b) > 0 {
			g.notify()
		}
		got = append(got, b...)
		return bytes.Contains(got, []byte(want))
	})
}

// drained says whether all that the guest printed was taken.
func (g *fakeGuest) drained() bool {
	return atomic.LoadUint32(g.word(3080)) == atomic.LoadUint32(g.word(3084))
}

// eventually waits until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}
