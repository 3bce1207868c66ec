package backtest

import (
	"fmt"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"goxl/backends"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/gnttab"
)

// OpenGrants opens a set of grants.
func (m *Machine) OpenGrants() (backends.Grants, error) {
	m.hold("open grant devices", 1)
	return &grants{m: m}, nil
}

type grants struct {
	m    *Machine
	once sync.Once
}

// Map maps pages next to each other, a second time.
func (g *grants) Map(dom abi.DomID, refs []abi.GrantRef) (backends.Mapping, error) {
	guest := g.m.guest(dom)
	if guest == nil || len(refs) == 0 {
		return nil, unix.EINVAL
	}
	var pages []int
	for _, r := range refs {
		gr, ok := guest.lookup(r)
		if !ok || gr.readOnly {
			return nil, fmt.Errorf("map reference %d of domain %d: %w", r, dom, unix.EINVAL)
		}
		pages = append(pages, gr.page)
	}
	b, err := unix.Mmap(-1, 0, len(refs)<<abi.PageShift, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, err
	}
	for i, p := range pages {
		_, err := unix.MmapPtr(guest.fd, int64(p)<<abi.PageShift, unsafe.Pointer(&b[i<<abi.PageShift]), abi.PageSize,
			unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED)
		if err != nil {
			_ = unix.Munmap(b)
			return nil, err
		}
	}
	g.m.hold("mapped pages", len(refs))
	return &mapping{m: g.m, b: b}, nil
}

// NewBatch returns a list of copies, with Xen's checks.
func (g *grants) NewBatch() (*gnttab.Batch, error) {
	return gnttab.NewBatchFunc(func(ops []*gnttab.Op) error {
		for _, o := range ops {
			o.Status = g.m.copy(o)
		}
		return nil
	}), nil
}

// copy goes through the file, so that the race detector sees none of the guest's races.
func (m *Machine) copy(o *gnttab.Op) abi.GrantStatus {
	g := m.guest(o.Dom)
	if g == nil {
		return abi.GrantBadDomain
	}
	gr, ok := g.lookup(o.Ref)
	if !ok {
		return abi.GrantBadRef
	}
	at := int64(gr.page)<<abi.PageShift + int64(o.Offset)
	var err error
	switch {
	case o.ToGrant && gr.readOnly:
		return abi.GrantPermission
	case o.ToGrant:
		_, err = unix.Pwrite(g.fd, o.Local, at)
	default:
		_, err = unix.Pread(g.fd, o.Local, at)
	}
	if err != nil {
		panic(err)
	}
	return abi.GrantOK
}

func (g *grants) Close() error {
	g.once.Do(func() { g.m.hold("open grant devices", -1) })
	return nil
}

type mapping struct {
	m      *Machine
	mu     sync.RWMutex
	b      []byte
	closed bool
}

func (m *mapping) With(f func([]byte) error) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return os.ErrClosed
	}
	return f(m.b)
}

// Close makes the memory inaccessible for good: a later touch is a crash.
func (m *mapping) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	m.m.hold("mapped pages", -len(m.b)>>abi.PageShift)
	return unix.Munmap(m.b)
}

// OpenEvents opens a set of event channels.
func (m *Machine) OpenEvents() (backends.Events, error) { return m.openEvents() }

// OpenPolledEvents opens a set of event channels that can be polled.
func (m *Machine) OpenPolledEvents() (backends.PolledEvents, error) { return m.openEvents() }

func (m *Machine) openEvents() (*events, error) {
	s, err := NewSign()
	if err != nil {
		return nil, err
	}
	m.hold("open event devices", 1)
	e := &events{m: m, ports: map[abi.Port]*backPort{}, sign: s}
	e.cond.L = &e.mu
	return e, nil
}

// events is domain 0's end of some event channels. A port is silent from Wait to
// Unmask.
type events struct {
	m *Machine

	mu     sync.Mutex
	cond   sync.Cond
	ports  map[abi.Port]*backPort
	queue  []abi.Port
	sign   *Sign // there is an event in queue
	closed bool
}

type backPort struct {
	far             *Port
	pending, masked bool
}

func (e *events) BindInterdomain(dom abi.DomID, remote abi.Port) (abi.Port, error) {
	g := e.m.guest(dom)
	if g == nil {
		return 0, unix.ESRCH
	}
	p := g.lookupPort(remote)
	if p == nil {
		return 0, fmt.Errorf("bind to port %d of domain %d: %w", remote, dom, unix.EINVAL)
	}
	e.mu.Lock()
	id := abi.Port(len(e.ports) + 1)
	e.ports[id] = &backPort{far: p}
	e.mu.Unlock()
	p.mu.Lock()
	taken := p.back != nil
	if !taken {
		p.back, p.far = e, id
	}
	p.mu.Unlock()
	if taken {
		e.mu.Lock()
		delete(e.ports, id)
		e.mu.Unlock()
		return 0, fmt.Errorf("bind to port %d of domain %d: %w", remote, dom, unix.EINVAL)
	}
	e.m.hold("event channels", 1)
	e.raise(id)
	return id, nil
}

func (e *events) raise(id abi.Port) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.ports[id]; p != nil {
		p.pending = true
		e.deliver(id, p)
	}
}

func (e *events) deliver(id abi.Port, p *backPort) {
	if p.pending && !p.masked {
		p.pending, p.masked = false, true
		e.queue = append(e.queue, id)
		e.sign.Show(true)
		e.cond.Broadcast()
	}
}

func (e *events) Wait() (abi.Port, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.queue) == 0 && !e.closed {
		e.cond.Wait()
	}
	p, _, err := e.take()
	return p, err
}

// Take is Wait that does not.
func (e *events) Take() (abi.Port, bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.take()
}

func (e *events) take() (abi.Port, bool, error) {
	if e.closed {
		return 0, false, os.ErrClosed
	}
	if len(e.queue) == 0 {
		return 0, false, nil
	}
	p := e.queue[0]
	e.queue = append(e.queue[:0], e.queue[1:]...)
	e.sign.Show(len(e.queue) > 0)
	return p, true, nil
}

func (e *events) FD() int { return e.sign.FD() }

func (e *events) Unmask(id abi.Port) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.ports[id]
	if p == nil || e.closed {
		return os.ErrClosed
	}
	p.masked = false
	e.deliver(id, p)
	return nil
}

func (e *events) Notify(id abi.Port) error {
	e.mu.Lock()
	p := e.ports[id]
	closed := e.closed
	e.mu.Unlock()
	if p == nil || closed {
		return os.ErrClosed
	}
	p.far.raise()
	return nil
}

func (e *events) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	ports := e.ports
	e.cond.Broadcast()
	e.sign.Close()
	e.mu.Unlock()
	for _, p := range ports {
		p.far.mu.Lock()
		p.far.back = nil
		p.far.mu.Unlock()
		e.m.hold("event channels", -1)
	}
	e.m.hold("open event devices", -1)
	return nil
}
