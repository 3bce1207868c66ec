package backtest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

const guestPages = 4096

// Guest is a domain with some memory, which it grants page by page.
type Guest struct {
	Dom abi.DomID

	// Store is the guest's own connection, with its rights.
	Store *xenstore.Client

	m   *Machine
	fd  int
	mem []byte // the guest's own mapping

	mu     sync.Mutex
	pages  int
	spare  []int
	grants map[abi.GrantRef]*grant
	ref    abi.GrantRef
	ports  map[abi.Port]*Port
}

// grant lets domain 0 use a page.
type grant struct {
	page     int
	readOnly bool
}

// Page is a page of a guest and the reference that grants it.
type Page struct {
	Ref   abi.GrantRef
	Bytes []byte // as the guest sees it
	index int
}

func newGuest(m *Machine, dom abi.DomID) *Guest {
	m.t.Helper()
	fd, err := unix.MemfdCreate(fmt.Sprintf("guest%d", dom), unix.MFD_CLOEXEC)
	m.must(err)
	m.must(unix.Ftruncate(fd, guestPages<<abi.PageShift))
	mem, err := unix.Mmap(fd, 0, guestPages<<abi.PageShift, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	m.must(err)
	return &Guest{Dom: dom, Store: m.dial(dom), m: m, fd: fd, mem: mem, ref: 8,
		grants: map[abi.GrantRef]*grant{}, ports: map[abi.Port]*Port{}}
}

func (g *Guest) free() {
	g.Store.Close()
	_ = unix.Munmap(g.mem)
	_ = unix.Close(g.fd)
}

// Page takes a zeroed page and grants it for reading and writing.
func (g *Guest) Page() Page { return g.page(false) }

// ReadOnlyPage takes a page that others may only read.
func (g *Guest) ReadOnlyPage() Page { return g.page(true) }

// Pages takes n pages that lie side by side, as a ring needs them, and returns them as
// one piece of memory, too.
func (g *Guest) Pages(n int) ([]Page, []byte) {
	g.mu.Lock()
	g.spare = nil // whose order is any
	g.mu.Unlock()
	var pages []Page
	for range n {
		pages = append(pages, g.Page())
	}
	at := pages[0].index << abi.PageShift
	return pages, g.mem[at : at+n<<abi.PageShift : at+n<<abi.PageShift]
}

func (g *Guest) page(readOnly bool) Page {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.pages
	if k := len(g.spare); k > 0 {
		n, g.spare = g.spare[k-1], g.spare[:k-1]
	} else if g.pages++; g.pages > guestPages {
		panic("backtest: the guest is out of memory")
	}
	b := g.mem[n<<abi.PageShift : (n+1)<<abi.PageShift : (n+1)<<abi.PageShift]
	clear(b)
	g.ref++
	g.grants[g.ref] = &grant{page: n, readOnly: readOnly}
	return Page{Ref: g.ref, Bytes: b, index: n}
}

// Revoke ends a grant. Mappings of the page stay until they are unmapped.
func (g *Guest) Revoke(p Page) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.grants, p.Ref)
}

// Free ends a grant and gives the page back.
func (g *Guest) Free(p Page) {
	g.Revoke(p)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.spare = append(g.spare, p.index)
}

func (g *Guest) lookup(r abi.GrantRef) (grant, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	gr := g.grants[r]
	if gr == nil {
		return grant{}, false
	}
	return *gr, true
}

// Write writes a node of the guest's: path is relative to its home. It uses the
// guest's own rights.
func (g *Guest) Write(path, value string) {
	g.m.t.Helper()
	g.m.must(g.Store.Write(context.Background(), fmt.Sprintf("/local/domain/%d/%s", g.Dom, path), value))
}

// Port is a guest's end of an event channel to domain 0.
type Port struct {
	ID abi.Port

	g      *Guest
	events chan struct{}

	mu   sync.Mutex
	back *events // the other end, nil while it is unbound
	far  abi.Port
}

// Port makes an event channel that domain 0 may bind to, and again after it let go.
func (g *Guest) Port() *Port {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := &Port{ID: abi.Port(len(g.ports) + 3), g: g, events: make(chan struct{}, 1)}
	g.ports[p.ID] = p
	return p
}

func (g *Guest) lookupPort(id abi.Port) *Port {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ports[id]
}

// Notify sends an event to the backend, if it is bound.
func (p *Port) Notify() {
	p.mu.Lock()
	back, far := p.back, p.far
	p.mu.Unlock()
	if back != nil {
		back.raise(far)
	}
}

// Events has an entry when an event came.
func (p *Port) Events() <-chan struct{} { return p.events }

// Wait waits for an event, and fails the test when none comes.
func (p *Port) Wait() {
	p.g.m.t.Helper()
	select {
	case <-p.events:
	case <-time.After(20 * time.Second):
		p.g.m.t.Fatal("no event from the backend")
	}
}

func (p *Port) raise() {
	select {
	case p.events <- struct{}{}:
	default:
	}
}
