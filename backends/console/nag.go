package console

import (
	"sync"
	"time"

	"goxl/domains/logs"
)

// nagEvery is how often the same complaint is logged at most.
const nagEvery = time.Minute

// nag logs one kind of trouble, which may come again and again: the first time, and
// then once a minute with a count.
type nag struct {
	log  *logs.Logger
	text string

	mu    sync.Mutex
	last  time.Time
	count int
}

// hit takes note of err; nil is no trouble.
func (n *nag) hit(err error) {
	if err == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.count++
	if now := time.Now(); n.last.IsZero() || now.Sub(n.last) >= nagEvery {
		n.log.Warn(n.text, logs.Error(err), logs.Int("times", n.count))
		n.last, n.count = now, 0
	}
}

// end tells of those that were only counted: nobody would learn of them later.
func (n *nag) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.count > 0 {
		n.log.Warn(n.text, logs.Int("times", n.count))
		n.count = 0
	}
}
