package server

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"syscall"

	"goxl/xenctrl/abi"
	"goxl/xenstore/wire"
)

// Options changes a Server. The zero value is a store as a host has it.
type Options struct {
	Quota Quota // zero fields have the daemon's defaults

	// Introduced is called, if set, for each domain that is introduced, after
	// the fact and without locks held.
	Introduced func(dom abi.DomID, gfn abi.GFN, port abi.Port)

	// Exists tells whether Xen has a domain, if set. A domain that it has not
	// can own no node: SET_PERMS answers ENOENT, INTRODUCE EINVAL.
	Exists func(abi.DomID) bool

	// NoDirectoryPart makes the store as old as Xen 4.8: no list in parts.
	NoDirectoryPart bool
}

// Quota is what an unprivileged domain may use.
type Quota struct {
	Nodes        int // owned by a domain; 1000
	Watches      int // 128
	Transactions int // open at a time; 10
	NodeBytes    int // of one node with its permissions and child list; 2048
	Perms        int // entries of one permission list; 5
	TxNodes      int // touched by one transaction; 1024
	Path         int // bytes below /local/domain/<id>/; 2048
}

func (q Quota) withDefaults() Quota {
	d := Quota{Nodes: 1000, Watches: 128, Transactions: 10, NodeBytes: 2048, Perms: 5, TxNodes: 1024, Path: 2048}
	for _, f := range []struct{ have, def *int }{
		{&q.Nodes, &d.Nodes}, {&q.Watches, &d.Watches}, {&q.Transactions, &d.Transactions}, {&q.NodeBytes, &d.NodeBytes},
		{&q.Perms, &d.Perms}, {&q.TxNodes, &d.TxNodes}, {&q.Path, &d.Path},
	} {
		if *f.have == 0 {
			*f.have = *f.def
		}
	}
	return q
}

// Server is a store. Its methods may be called concurrently.
type Server struct {
	opt   Options
	quota Quota
	wg    sync.WaitGroup // connections and listeners

	mu        sync.Mutex
	tree      tree
	conns     []*conn // in the order they came: watches fire in it
	domains   map[abi.DomID]*domain
	special   map[string][]wire.Perm // who may watch @introduceDomain and @releaseDomain
	listeners []net.Listener
	closed    bool
}

// New returns a store that holds the root and knows dom0.
func New(o Options) *Server {
	own := []wire.Perm{{Access: wire.None, Dom: 0}}
	s := &Server{
		opt: o, quota: o.Quota.withDefaults(),
		tree:    newTree(own),
		domains: map[abi.DomID]*domain{0: {introduced: true}},
		special: map[string][]wire.Perm{introduceDomain: own, releaseDomain: own},
	}
	for _, path := range []string{"/tool", "/tool/xenstored"} {
		s.tree.create(path, own)
	}
	return s
}

// Pipe returns a connection of domain dom, which need not be introduced.
func (s *Server) Pipe(dom abi.DomID) net.Conn {
	client, server := net.Pipe()
	s.attach(server, dom)
	return client
}

// PipeBefore is Pipe, with before called for each request of this connection: an
// errno other than 0 is its answer, and the request is not carried out.
func (s *Server) PipeBefore(dom abi.DomID, before func(wire.Op) syscall.Errno) net.Conn {
	client, server := net.Pipe()
	s.attachBefore(server, dom, before)
	return client
}

// Listen serves dom0 on a unix socket at path, in the background, until Close.
func (s *Server) Listen(path string) error {
	l, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("serve xenstore: %w", err)
	}
	s.mu.Lock()
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	s.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.attach(c, 0)
		}
	})
	return nil
}

// Disconnect breaks all connections and keeps the tree, as a daemon does that is
// restarted.
func (s *Server) Disconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.close()
	}
}

// Close ends all connections and returns when their goroutines are gone. It may
// be called twice.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.Close())
	}
	s.listeners = nil
	for _, c := range s.conns {
		c.close()
	}
	s.mu.Unlock()
	s.wg.Wait()
	return errors.Join(errs...)
}

// Dump returns the value of every node by its path.
func (s *Server) Dump() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := make(map[string]string, len(s.tree.nodes))
	for path, n := range s.tree.nodes {
		m[path] = n.value
	}
	return m
}

// Paths returns the paths of all nodes, sorted.
func (s *Server) Paths() []string { return slices.Sorted(maps.Keys(s.Dump())) }
