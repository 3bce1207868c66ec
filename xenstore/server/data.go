package server

import (
	"slices"
	"strconv"
	"strings"
	"syscall"

	"goxl/xenstore/wire"
)

// owner is the right to change permissions, beside wire.Read and wire.Write.
const owner wire.Access = 1 << 2

// access returns what c may do with a node that has these permissions.
func (r *request) access(c *conn, perms []wire.Perm) wire.Access {
	target := r.targetOf(c)
	mine := func(p wire.Perm) bool { return p.Dom == c.dom || target != nil && p.Dom == *target }
	if c.privileged() || mine(perms[0]) {
		return wire.Both | owner
	}
	for _, p := range perms[1:] {
		if mine(p) {
			return p.Access
		}
	}
	return perms[0].Access
}

// node returns the node at a path as sent, and its full path, if the caller has
// all of want. To those who may not see the parents either, a node that does not
// exist is one that they may not use.
func (r *request) node(sent string, want wire.Access) (*node, string, syscall.Errno) {
	path := r.conn.absolute(sent)
	if !r.validPath(path) {
		return nil, path, syscall.EINVAL
	}
	n := r.view.get(path)
	errno := syscall.ENOENT
	if n != nil {
		if r.access(r.conn, n.perms)&want == want {
			return n, path, 0
		}
		errno = syscall.EACCES
	}
	up := path
	for {
		up = parentOf(up)
		if p := r.view.get(up); p != nil {
			if r.access(r.conn, p.perms)&want == 0 {
				errno = syscall.EACCES
			}
			return nil, path, errno
		}
	}
}

// oneNode is node for an operation whose only argument is a path.
func (r *request) oneNode(want wire.Access) (*node, string, syscall.Errno) {
	sent, ok := r.oneArg()
	if !ok {
		return nil, "", syscall.EINVAL
	}
	return r.node(sent, want)
}

func (r *request) read() ([]byte, syscall.Errno) {
	n, _, errno := r.oneNode(wire.Read)
	if errno != 0 {
		return nil, errno
	}
	return []byte(n.value), 0
}

func (r *request) directory() ([]byte, syscall.Errno) {
	n, _, errno := r.oneNode(wire.Read)
	if errno != 0 {
		return nil, errno
	}
	return wire.AppendStrings(nil, n.children...), 0
}

// directoryPart answers with the node's generation and as many whole names from
// the offset on as fit; an empty name ends the list.
func (r *request) directoryPart() ([]byte, syscall.Errno) {
	args := r.args()
	if len(args) != 2 {
		return nil, syscall.EINVAL
	}
	n, _, errno := r.node(args[0], wire.Read)
	if errno != 0 {
		return nil, errno
	}
	off, err := strconv.Atoi(args[1])
	if err != nil || off < 0 {
		return nil, syscall.EINVAL
	}
	b := decimal(n.gen)
	pos := 0
	for _, name := range n.children {
		if pos >= off {
			if len(b)+len(name)+1 >= wire.MaxPayload {
				return b, 0
			}
			b = wire.AppendStrings(b, name)
		}
		pos += len(name) + 1
	}
	return append(b, 0), 0
}

func (r *request) write() ([]byte, syscall.Errno) {
	sent, value, ok := wire.CutString(r.packet.Payload)
	if !ok {
		return nil, syscall.EINVAL
	}
	n, path, errno := r.node(sent, wire.Write)
	switch errno {
	case 0:
		changed := *n
		changed.value = string(value)
		if r.tooBig(&changed) {
			return nil, syscall.ENOSPC
		}
		r.view.put(path, &changed)
	case syscall.ENOENT:
		if errno := r.create(path, string(value)); errno != 0 {
			return nil, errno
		}
	default:
		return nil, errno
	}
	r.changed(path, false, nil)
	return ack()
}

func (r *request) mkdir() ([]byte, syscall.Errno) {
	_, path, errno := r.oneNode(wire.Write)
	switch errno {
	case 0:
		return ack()
	case syscall.ENOENT:
		if errno := r.create(path, ""); errno != 0 {
			return nil, errno
		}
		r.changed(path, false, nil)
		return ack()
	}
	return nil, errno
}

// create makes a node with its missing parents: permissions are the parent's,
// but an unprivileged domain owns what it makes.
func (r *request) create(path, value string) syscall.Errno {
	absent, up := missing(r.view, path)
	if !r.conn.privileged() {
		grown := *r.view.get(up)
		grown.children = append(slices.Clip(grown.children), baseOf(absent[len(absent)-1]))
		if r.view.owned(r.conn.dom)+len(absent) > r.quota.Nodes ||
			r.tooBig(&grown) || r.tooBig(&node{value: value, perms: grown.perms}) {
			return syscall.ENOSPC
		}
	}
	createNode(r.view, path, value, func(parent *node) []wire.Perm {
		if r.conn.privileged() {
			return parent.perms
		}
		perms := slices.Clone(parent.perms)
		perms[0].Dom = r.conn.dom
		return perms
	})
	return 0
}

// tooBig reports whether an unprivileged caller may not store n: the record is a
// header of 24 bytes, 8 per permission, value and child list.
func (r *request) tooBig(n *node) bool {
	return !r.conn.privileged() && 24+8*len(n.perms)+len(n.value)+n.childBytes() >= r.quota.NodeBytes
}

func (r *request) rm() ([]byte, syscall.Errno) {
	_, path, errno := r.oneNode(wire.Write)
	switch {
	case errno == syscall.ENOENT && r.view.get(parentOf(path)) != nil:
		return ack() // not there already
	case errno != 0:
		return nil, errno
	case path == "/", r.view.get(parentOf(path)) == nil: // the latter in a transaction that met a change
		return nil, syscall.EINVAL
	}
	removeNode(r.view, path, func(p string, n *node) { r.changedNode(p, n, p != path, nil) })
	return ack()
}

func (r *request) getPerms() ([]byte, syscall.Errno) {
	n, _, errno := r.oneNode(wire.Read)
	if errno != 0 {
		return nil, errno
	}
	return wire.AppendPerms(nil, n.perms), 0
}

func (r *request) setPerms() ([]byte, syscall.Errno) {
	sent, rest, ok := wire.CutString(r.packet.Payload)
	perms, err := wire.ParsePerms(rest)
	switch {
	case !ok || err != nil:
		return nil, syscall.EINVAL
	case !r.conn.privileged() && len(perms) > r.quota.Perms:
		return nil, syscall.ENOSPC
	case r.opt.Exists != nil && !r.opt.Exists(perms[0].Dom):
		return nil, syscall.ENOENT
	case strings.HasPrefix(sent, "@"):
		return r.setSpecialPerms(sent, perms)
	}
	n, path, errno := r.node(sent, wire.Write|owner)
	if errno != 0 {
		return nil, errno
	}
	if !r.conn.privileged() && perms[0].Dom != n.owner() {
		return nil, syscall.EPERM
	}
	changed := *n
	changed.perms = perms
	if r.tooBig(&changed) {
		return nil, syscall.ENOSPC
	}
	r.view.put(path, &changed)
	r.changed(path, false, n.perms)
	return ack()
}
