package domains

import (
	"sync"
	"syscall"

	"goxl/xenstore/wire"
)

// class is a kind of request that a process makes of others.
type class int

const (
	hypercalls class = iota
	requests         // of xenstore
	systemCalls
	classes
)

// tripwire sees each request of the managers of a test, counts it, and lets
// something happen at one of them.
type tripwire struct {
	mu    sync.Mutex
	count [classes]int
	total int
	at    int           // this request, counted from 1; 0: none
	of    class         // of this class; classes: of any
	what  string        // the name of that request, when it was reached
	fail  syscall.Errno // its answer; 0: it is carried out
	dead  bool          // and so are all that follow
	over  bool          // they do
	act   func()        // called before it, once
	quiet bool          // the test itself is at work
}

// set arms the tripwire anew: everything is counted from here on.
func (t *tripwire) set(n *tripwire) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count, t.total, t.at, t.of, t.what = [classes]int{}, 0, n.at, n.of, ""
	t.fail, t.dead, t.over, t.act, t.quiet = n.fail, n.dead, false, n.act, n.quiet
}

// off takes the wire down and returns the name of the request that was hit, "" when
// none was.
func (t *tripwire) off() string {
	t.mu.Lock()
	what := t.what
	t.mu.Unlock()
	t.set(&tripwire{quiet: true})
	return what
}

func (t *tripwire) step(c class, name string) error {
	t.mu.Lock()
	if t.quiet {
		t.mu.Unlock()
		return nil
	}
	t.count[c]++
	t.total++
	n := t.total
	if t.of != classes {
		n = t.count[c]
	}
	hit := t.at != 0 && n == t.at && (t.of == c || t.of == classes) && t.what == ""
	if hit {
		t.what, t.over = name, t.dead
	}
	fail, act := hit || t.over, t.act
	errno := t.fail
	if hit && act != nil {
		t.quiet = true
		t.mu.Unlock()
		act()
		t.mu.Lock()
		t.quiet = false
	}
	t.mu.Unlock()
	if fail && errno != 0 {
		return errno
	}
	return nil
}

func (t *tripwire) hypercall(name string) error { return t.step(hypercalls, "hypercall "+name) }
func (t *tripwire) system(call string) error    { return t.step(systemCalls, call) }

func (t *tripwire) request(op wire.Op) syscall.Errno {
	err := t.step(requests, "xenstore "+op.String())
	errno, _ := err.(syscall.Errno)
	return errno
}

// counts returns how many requests of each class were made since set.
func (t *tripwire) counts() [classes]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count
}
