package server

import (
	"slices"
	"strings"
	"syscall"

	"goxl/xenstore/wire"
)

// The events that are not changes of nodes.
const (
	introduceDomain = "@introduceDomain"
	releaseDomain   = "@releaseDomain"
)

type watch struct {
	path     string // absolute or special
	token    string
	relative bool // events are named relative to the domain's path
}

// name returns path as events of w spell it.
func (w *watch) name(c *conn, path string) string {
	if w.relative {
		return strings.TrimPrefix(strings.TrimPrefix(path, c.base), "/")
	}
	return path
}

// changed reports a change of the node at path: now, or at the end of the
// transaction. An exact change goes to watches of this very node only.
func (r *request) changed(path string, exact bool, old []wire.Perm) {
	r.changedNode(path, nil, exact, old)
}

// changedNode is changed for a node that is about to go.
func (r *request) changedNode(path string, n *node, exact bool, old []wire.Perm) {
	if r.tx != nil {
		r.tx.note(path, exact)
		return
	}
	r.fire(path, n, exact, old)
}

// fire queues an event for every watch that matches and whose domain may know:
// the one that can read the node, could before, or can read its parent.
func (r *request) fire(path string, n *node, exact bool, old []wire.Perm) {
	for _, c := range r.conns {
		if len(c.watches) == 0 || !r.mayKnow(c, path, n, old) {
			continue
		}
		for _, w := range c.watches {
			if path == w.path || !exact && wire.IsChild(w.path, path) {
				r.events = append(r.events, event{c, w.name(c, path), w.token})
			}
		}
	}
}

func (r *request) mayKnow(c *conn, path string, n *node, old []wire.Perm) bool {
	can := func(perms []wire.Perm) bool { return perms != nil && r.access(c, perms)&wire.Read != 0 }
	if strings.HasPrefix(path, "@") {
		base, _, _ := strings.Cut(path, "/")
		return can(r.special[base])
	}
	if can(old) {
		return true
	}
	if n == nil {
		n = r.tree.get(path)
	}
	if n == nil {
		return false
	}
	up := r.tree.get(parentOf(path))
	return can(n.perms) || up != nil && can(up.perms)
}

func (r *request) watch() ([]byte, syscall.Errno) {
	w, errno := r.parseWatch()
	c := r.conn
	switch {
	case errno != 0:
		return nil, errno
	case strings.HasPrefix(w.path, "@"):
		if len(w.path) > wire.MaxRelPath {
			return nil, syscall.EINVAL
		}
	case !r.validPath(w.path):
		return nil, syscall.EINVAL
	}
	switch {
	case c.find(w) >= 0:
		return nil, syscall.EEXIST
	case !c.privileged() && len(c.watches) >= r.quota.Watches:
		return nil, syscall.E2BIG // the daemon's errno for this quota
	}
	c.watches = append(c.watches, w)
	r.first = &event{c, w.name(c, w.path), w.token}
	return ack()
}

func (r *request) unwatch() ([]byte, syscall.Errno) {
	w, errno := r.parseWatch()
	if errno != 0 {
		return nil, errno
	}
	i := r.conn.find(w)
	if i < 0 {
		return nil, syscall.ENOENT
	}
	r.conn.watches = slices.Delete(r.conn.watches, i, i+1)
	return ack()
}

// parseWatch reads path and token. More arguments, such as the depth of Xen
// 4.22, are an error.
func (r *request) parseWatch() (*watch, syscall.Errno) {
	args := r.args()
	if len(args) != 2 {
		return nil, syscall.EINVAL
	}
	path := r.conn.absolute(args[0])
	return &watch{path: path, token: args[1], relative: path != args[0]}, 0
}

// find returns the place of the watch with w's path and token, or -1.
func (c *conn) find(w *watch) int {
	return slices.IndexFunc(c.watches, func(o *watch) bool { return o.path == w.path && o.token == w.token })
}

func (r *request) resetWatches() ([]byte, syscall.Errno) {
	r.conn.watches = nil
	clear(r.conn.txs)
	return ack()
}

// setSpecialPerms says who may watch a special event.
func (r *request) setSpecialPerms(name string, perms []wire.Perm) ([]byte, syscall.Errno) {
	old, ok := r.special[name]
	switch {
	case !ok:
		return nil, syscall.EINVAL
	case r.access(r.conn, old)&(wire.Write|owner) != wire.Write|owner:
		return nil, syscall.EACCES
	}
	r.special[name] = perms
	return ack()
}
