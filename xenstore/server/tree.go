package server

import (
	"slices"
	"strings"

	"goxl/xenctrl/abi"
	"goxl/xenstore/wire"
)

// node is a node's record. It is never changed, only replaced, so that a
// transaction can keep the one it read.
type node struct {
	gen      uint64 // unique to this record
	value    string
	perms    []wire.Perm
	children []string // names, oldest first
}

func (n *node) owner() abi.DomID { return n.perms[0].Dom }

// childBytes is the length of the child list as it is sent.
func (n *node) childBytes() int {
	size := 0
	for _, c := range n.children {
		size += len(c) + 1
	}
	return size
}

// view is the tree as a request sees it: the store's, or a transaction's.
type view interface {
	get(path string) *node // nil: no such node
	put(path string, n *node)
	del(path string)
	owned(dom abi.DomID) int // how many nodes dom owns
}

// tree is the store's own view.
type tree struct {
	nodes map[string]*node
	gen   *uint64
	count map[abi.DomID]int
}

func newTree(perms []wire.Perm) tree {
	t := tree{nodes: make(map[string]*node), gen: new(uint64), count: make(map[abi.DomID]int)}
	t.put("/", &node{perms: perms})
	return t
}

func (t tree) get(path string) *node   { return t.nodes[path] }
func (t tree) owned(dom abi.DomID) int { return t.count[dom] }
func (t tree) nextGen() uint64         { *t.gen++; return *t.gen }
func (t tree) create(p string, pm []wire.Perm) {
	createNode(t, p, "", func(*node) []wire.Perm { return pm })
}

func (t tree) put(path string, n *node) {
	if old := t.nodes[path]; old != nil {
		t.count[old.owner()]--
	}
	n.gen = t.nextGen()
	t.count[n.owner()]++
	t.nodes[path] = n
}

func (t tree) del(path string) {
	if old := t.nodes[path]; old != nil {
		t.count[old.owner()]--
		delete(t.nodes, path)
	}
}

// parentOf returns the path above path; "/" is above itself.
func parentOf(path string) string {
	i := strings.LastIndexByte(path, '/')
	if i <= 0 {
		return "/"
	}
	return path[:i]
}

func baseOf(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

func childOf(path, name string) string {
	if path == "/" {
		return "/" + name
	}
	return path + "/" + name
}

// missing returns path and those above it that do not exist, path first, and
// the one above them that does.
func missing(v view, path string) (absent []string, parent string) {
	for v.get(path) == nil {
		absent = append(absent, path)
		path = parentOf(path)
	}
	return absent, path
}

// createNode makes the node at path, which must not exist, and its missing
// parents. perms returns the permissions of a node from its parent.
func createNode(v view, path, value string, perms func(parent *node) []wire.Perm) {
	absent, parent := missing(v, path)
	for i, p := range slices.Backward(absent) {
		up := v.get(parent)
		grown := *up
		grown.children = append(up.children, baseOf(p))
		v.put(parent, &grown)
		n := &node{perms: perms(up)}
		if i == 0 {
			n.value = value
		}
		v.put(p, n)
		parent = p
	}
}

// removeNode takes the node at path, which is not the root, out of its parent
// and removes it with all below. removed is called for each, children before
// their parent, while the node is still there.
func removeNode(v view, path string, removed func(path string, n *node)) {
	removeBelow(v, path, removed)
	up := parentOf(path)
	if parent := v.get(up); parent != nil {
		shrunk := *parent
		name := baseOf(path)
		shrunk.children = slices.DeleteFunc(slices.Clone(parent.children), func(c string) bool { return c == name })
		v.put(up, &shrunk)
	}
}

func removeBelow(v view, path string, removed func(path string, n *node)) {
	n := v.get(path)
	if n == nil {
		return
	}
	for _, c := range n.children {
		removeBelow(v, childOf(path, c), removed)
	}
	removed(path, n)
	v.del(path)
}
