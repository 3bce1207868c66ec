package server

import (
	"slices"
	"syscall"

	"goxl/xenctrl/abi"
	"goxl/xenstore/wire"
)

// transaction is a view of its own. A node is copied from the store when it is
// first used; at the end all of them must still be what they were.
type transaction struct {
	base    tree
	used    []*access // in the order of first use: events fire in it
	byPath  map[string]*access
	delta   map[abi.DomID]int
	created bool // some node
}

// access is a node that a transaction used.
type access struct {
	path     string
	seen     *node // in the store at first use
	now      *node // in the transaction
	modified bool
	fire     bool // a watch event, at the end
	exact    bool
}

func newTransaction(base tree) *transaction {
	return &transaction{base: base, byPath: make(map[string]*access), delta: make(map[abi.DomID]int)}
}

func (t *transaction) use(path string) *access {
	a := t.byPath[path]
	if a == nil {
		n := t.base.get(path)
		a = &access{path: path, seen: n, now: n}
		if n != nil { // its list grows apart from the store's
			c := *n
			c.children = slices.Clip(n.children)
			a.now = &c
		}
		t.used = append(t.used, a)
		t.byPath[path] = a
	}
	return a
}

func (t *transaction) get(path string) *node { return t.use(path).now }

func (t *transaction) owned(dom abi.DomID) int { return t.base.owned(dom) + t.delta[dom] }

func (t *transaction) put(path string, n *node) {
	a := t.use(path)
	if a.now == nil {
		t.created = true
	} else {
		t.delta[a.now.owner()]--
	}
	t.delta[n.owner()]++
	n.gen = t.base.nextGen()
	a.now, a.modified = n, true
}

func (t *transaction) del(path string) {
	if a := t.use(path); a.now != nil {
		t.delta[a.now.owner()]--
		a.now, a.modified = nil, true
	}
}

// note queues a watch event. One that also goes to watches above replaces an
// exact one.
func (t *transaction) note(path string, exact bool) {
	a := t.use(path)
	a.exact = exact && (a.exact || !a.fire)
	a.fire = true
}

// conflict reports whether something the transaction used was changed by others.
func (t *transaction) conflict() bool {
	return slices.ContainsFunc(t.used, func(a *access) bool { return t.base.get(a.path) != a.seen })
}

// commit applies the transaction to the store, firing events as it goes.
func (t *transaction) commit(fire func(path string, exact bool, old []wire.Perm)) {
	for _, a := range t.used {
		if !a.modified {
			continue
		}
		if a.now != nil {
			t.base.put(a.path, a.now)
		} else {
			t.base.del(a.path)
		}
		if a.fire {
			var old []wire.Perm
			if a.seen != nil {
				old = a.seen.perms
			}
			fire(a.path, a.exact, old)
		}
	}
}

// startTransaction is TRANSACTION_START.
func (r *request) startTransaction() ([]byte, syscall.Errno) {
	c := r.conn
	switch {
	case r.tx != nil:
		return nil, syscall.EBUSY
	case !c.privileged() && len(c.txs) >= r.quota.Transactions:
		return nil, syscall.ENOSPC
	}
	for {
		c.lastTx++
		if c.lastTx != 0 && c.txs[c.lastTx] == nil {
			break
		}
	}
	c.txs[c.lastTx] = newTransaction(r.tree)
	return decimal(uint64(c.lastTx)), 0
}

// endTransaction is TRANSACTION_END.
func (r *request) endTransaction() ([]byte, syscall.Errno) {
	arg, ok := r.oneArg()
	switch {
	case !ok || arg != "T" && arg != "F":
		return nil, syscall.EINVAL
	case r.tx == nil:
		return nil, syscall.ENOENT
	}
	t := r.tx
	delete(r.conn.txs, r.packet.TxID)
	if arg == "F" {
		return ack()
	}
	if t.conflict() {
		return nil, syscall.EAGAIN
	}
	if t.created && !r.conn.privileged() && t.owned(r.conn.dom) > r.quota.Nodes {
		return nil, syscall.ENOSPC
	}
	t.commit(func(path string, exact bool, old []wire.Perm) { r.fire(path, nil, exact, old) })
	return ack()
}
