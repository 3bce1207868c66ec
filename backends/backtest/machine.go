//go:build linux

package backtest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"goxl/backends"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
	"goxl/xenstore/server"
	"goxl/xenstore/wire"
)

// Machine is the host. It is the backends.Xen of domain 0.
type Machine struct {
	t   testing.TB
	srv *server.Server

	// Store is domain 0's connection to xenstore.
	Store *xenstore.Client

	mu     sync.Mutex
	guests map[abi.DomID]*Guest
	held   map[string]int // what backends hold now, by kind
}

// New returns a host without guests. At its end the test fails if a backend still
// holds anything, so end the backends first: a Cleanup made later runs earlier.
func New(t testing.TB) *Machine {
	t.Helper()
	m := &Machine{t: t, srv: server.New(server.Options{}), guests: map[abi.DomID]*Guest{}, held: map[string]int{}}
	m.Store = m.dial(0)
	t.Cleanup(func() {
		m.Store.Close()
		m.srv.Close()
		for _, g := range m.guests {
			g.free()
		}
		if h := m.Held(); h != "" {
			t.Errorf("backends still hold %s", h)
		}
	})
	m.must(m.Store.Write(context.Background(), "/local/domain/0/domid", "0"))
	return m
}

func (m *Machine) dial(dom abi.DomID) *xenstore.Client {
	m.t.Helper()
	c, err := xenstore.Dial(context.Background(), xenstore.WithConn(m.srv.Pipe(dom)))
	m.must(err)
	return c
}

// Dial returns one more connection of domain 0 to xenstore, which the caller closes.
func (m *Machine) Dial() *xenstore.Client { return m.dial(0) }

func (m *Machine) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// hold counts something that a backend takes or gives back.
func (m *Machine) hold(what string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held[what] += n
}

// Held says what backends hold of all guests: mapped pages, ports, open devices. It is
// empty if nothing.
func (m *Machine) Held() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var parts []string
	for what, n := range m.held {
		if n != 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	return strings.Join(parts, ", ")
}

// AddDevice writes both halves of a device as libxl does, with state 1 and online 1.
func (m *Machine) AddDevice(kind, frontKind string, id backends.ID, back map[string]string) {
	m.t.Helper()
	g := m.Guest(id.Dom)
	bp, fp := backends.BackPath(0, kind, id), backends.FrontPath(frontKind, id)
	ctx := context.Background()
	err := m.Store.Update(ctx, func(tx *xenstore.Tx) error {
		var b xenstore.Batch
		b.Mkdir(fp)
		b.SetPerms(fp, []wire.Perm{{Access: wire.None, Dom: g.Dom}, {Access: wire.Read, Dom: 0}})
		b.Write(fp+"/backend", bp)
		b.Write(fp+"/backend-id", "0")
		b.Write(fp+"/state", "1")
		b.Mkdir(bp)
		b.SetPerms(bp, []wire.Perm{{Access: wire.None, Dom: 0}, {Access: wire.Read, Dom: g.Dom}})
		b.Write(bp+"/frontend", fp)
		b.Write(bp+"/frontend-id", strconv.Itoa(int(id.Dom)))
		b.Write(bp+"/online", "1")
		for k, v := range back {
			b.Write(bp+"/"+k, v)
		}
		b.Write(bp+"/state", "1")
		return tx.Send(ctx, &b)
	})
	m.must(err)
}

// Detach asks for a device's end as the toolstack does. With force the frontend's
// nodes go first.
func (m *Machine) Detach(kind, frontKind string, id backends.ID, force bool) {
	m.t.Helper()
	ctx := context.Background()
	m.must(m.Store.Update(ctx, func(tx *xenstore.Tx) error {
		var b xenstore.Batch
		if force {
			b.Rm(backends.FrontPath(frontKind, id))
		}
		b.Write(backends.BackPath(0, kind, id)+"/online", "0")
		b.Write(backends.BackPath(0, kind, id)+"/state", "5")
		return tx.Send(ctx, &b)
	}))
}

// Await waits until the node at path is want; "" waits until there is none.
func (m *Machine) Await(path, want string) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var last string
	_, err := m.Store.Await(ctx, path, func(v string, exists bool) bool {
		last = v
		return v == want && exists == (want != "")
	})
	if err != nil {
		m.t.Fatalf("%s is %q, awaited %q: %v", path, last, want, err)
	}
}

// Read returns the value of a node, "" if there is none.
func (m *Machine) Read(path string) string {
	v, _ := m.Store.Read(context.Background(), path)
	return v
}

// Guest returns guest dom, made when it is asked for first.
func (m *Machine) Guest(dom abi.DomID) *Guest {
	m.t.Helper()
	m.mu.Lock()
	g := m.guests[dom]
	m.mu.Unlock()
	if g != nil {
		return g
	}
	ctx := context.Background()
	home := fmt.Sprintf("/local/domain/%d", dom)
	m.must(m.Store.Mkdir(ctx, home))
	m.must(m.Store.SetPerms(ctx, home, []wire.Perm{{Access: wire.None, Dom: 0}, {Access: wire.Read, Dom: dom}}))
	m.must(m.Store.Introduce(ctx, dom, 1, 1))
	g = newGuest(m, dom)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.guests[dom] = g
	return g
}

// guest returns a guest that is there, or nil.
func (m *Machine) guest(dom abi.DomID) *Guest {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.guests[dom]
}
