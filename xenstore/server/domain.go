package server

import (
	"fmt"
	"slices"
	"strconv"
	"syscall"

	"goxl/xenctrl/abi"
)

// domain is what the store knows of a domain.
type domain struct {
	introduced bool
	target     *abi.DomID // whose rights it has, too
}

func (s *Server) targetOf(c *conn) *abi.DomID {
	if d := s.domains[c.dom]; d != nil {
		return d.target
	}
	return nil
}

// parseDom reads a domain id that names a guest.
func parseDom(s string) (abi.DomID, bool) {
	v, err := strconv.ParseUint(s, 10, 16)
	return abi.DomID(v), err == nil && v != 0 && abi.DomID(v) < abi.DomFirstReserved
}

// known returns the introduced domain that the one argument names.
func (r *request) known() (abi.DomID, *domain, syscall.Errno) {
	arg, ok := r.oneArg()
	if !ok {
		return 0, nil, syscall.EINVAL
	}
	v, err := strconv.ParseUint(arg, 10, 16)
	if err != nil || v == 0 {
		return 0, nil, syscall.EINVAL
	}
	d := r.domains[abi.DomID(v)]
	if d == nil || !d.introduced {
		return 0, nil, syscall.ENOENT
	}
	return abi.DomID(v), d, 0
}

func (r *request) introduce() ([]byte, syscall.Errno) {
	args := r.args()
	if len(args) < 3 {
		return nil, syscall.EINVAL
	}
	id, ok := parseDom(args[0])
	gfn, err := strconv.ParseUint(args[1], 10, 64)
	port, perr := strconv.ParseUint(args[2], 10, 31)
	if !ok || err != nil || perr != nil || port == 0 || r.opt.Exists != nil && !r.opt.Exists(id) {
		return nil, syscall.EINVAL
	}
	d := r.domains[id]
	if d == nil {
		d = &domain{}
		r.domains[id] = d
	}
	if !d.introduced {
		d.introduced = true
		r.fire(introduceDomain, nil, true, nil)
	}
	if f := r.opt.Introduced; f != nil {
		r.after = func() { f(id, abi.GFN(gfn), abi.Port(port)) }
	}
	return ack()
}

func (r *request) release() ([]byte, syscall.Errno) {
	id, _, errno := r.known()
	if errno != 0 {
		return nil, errno
	}
	delete(r.domains, id)
	for _, c := range r.conns {
		if c.dom == id {
			c.close()
		}
	}
	r.fire(releaseDomain, nil, true, nil)
	return ack()
}

func (r *request) resume() ([]byte, syscall.Errno) {
	if _, _, errno := r.known(); errno != 0 {
		return nil, errno
	}
	return ack()
}

func (r *request) setTarget() ([]byte, syscall.Errno) {
	args := r.args()
	if len(args) < 2 {
		return nil, syscall.EINVAL
	}
	id, ok1 := parseDom(args[0])
	target, ok2 := parseDom(args[1])
	d, t := r.domains[id], r.domains[target]
	if !ok1 || !ok2 || d == nil || t == nil {
		return nil, syscall.ENOENT
	}
	d.target = &target
	return ack()
}

func (r *request) isIntroduced() ([]byte, syscall.Errno) {
	arg, ok := r.oneArg()
	if !ok {
		return nil, syscall.EINVAL
	}
	id, err := strconv.ParseUint(arg, 10, 16)
	d := r.domains[abi.DomID(id)]
	if err == nil && (abi.DomID(id) == abi.DomSelf || d != nil && d.introduced) {
		return []byte("T\x00"), 0
	}
	return []byte("F\x00"), 0
}

func (r *request) getDomainPath() ([]byte, syscall.Errno) {
	arg, ok := r.oneArg()
	id, err := strconv.ParseUint(arg, 10, 16)
	if !ok || err != nil {
		return nil, syscall.EINVAL
	}
	return append([]byte(domainPath(abi.DomID(id))), 0), 0
}

// Shutdown tells the store that domain dom has shut down or crashed: it fires
// @releaseDomain and keeps all else.
func (s *Server) Shutdown(dom abi.DomID) {
	s.outside(func(r *request) { r.fire(releaseDomain, nil, true, nil) })
}

// Destroy tells the store that domain dom is gone: its connections end, the
// nodes that it owns are removed, and @releaseDomain fires.
func (s *Server) Destroy(dom abi.DomID) {
	s.outside(func(r *request) {
		delete(s.domains, dom)
		for _, c := range s.conns {
			if c.dom == dom {
				c.close()
			}
		}
		r.removeOwned("/", dom)
		r.fire(releaseDomain, nil, true, nil)
	})
}

func (r *request) removeOwned(path string, dom abi.DomID) {
	n := r.tree.get(path)
	if n.owner() == dom && path != "/" {
		removeNode(r.tree, path, func(p string, n *node) { r.fire(p, n, p != path, nil) })
		return
	}
	for _, c := range slices.Clone(n.children) {
		r.removeOwned(childOf(path, c), dom)
	}
}

// outside runs f, which is no request of a connection, and sends its events.
func (s *Server) outside(f func(*request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &request{Server: s, view: s.tree}
	f(r)
	r.sendEvents()
}

// control answers a few commands of xenstore-control.
func (r *request) control() ([]byte, syscall.Errno) {
	args := r.args()
	if len(args) == 0 {
		return nil, syscall.EINVAL
	}
	switch {
	case args[0] == "help":
		return []byte("check\nhelp\nprint <string>\nquota\x00"), 0
	case args[0] == "check", args[0] == "print" && len(args) == 2:
		return ack()
	case args[0] == "quota" && len(args) == 1:
		q := r.quota
		return fmt.Appendf(nil, "nodes: %d\nwatches: %d\ntransactions: %d\nnode bytes: %d\x00",
			q.Nodes, q.Watches, q.Transactions, q.NodeBytes), 0
	}
	return nil, syscall.EINVAL
}
