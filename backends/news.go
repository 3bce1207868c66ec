package backends

import (
	"sync"
	"time"

	"goxl/domains/logs"
)

// newsPerMinute is how many messages about its comings and goings a device may cause.
// A guest can connect ten times a second.
const newsPerMinute = 12

// news bounds what is logged of a device though nothing is wrong with it.
type news struct {
	mu     sync.Mutex
	since  time.Time
	logged int // since then
	quiet  int // not logged since the last that was
}

// News logs what an operator asks for a day later and a guest can cause at will: that
// it connects, and leaves. Of more than a dozen in a minute only the number is
// logged, with the next one. Log is the caller's.
func (n *Node) News(log *logs.Logger, text string, fields ...logs.Field) {
	n.news.mu.Lock()
	quiet, ok := n.news.may(time.Now())
	n.news.mu.Unlock()
	if !ok {
		return
	}
	if quiet > 0 {
		fields = append(fields, logs.Int("more_since", quiet))
	}
	log.Info(text, fields...)
}

// may reports whether a message may be logged now, and how many were not before it.
// The caller holds the lock.
func (n *news) may(now time.Time) (quiet int, ok bool) {
	if now.Sub(n.since) >= time.Minute {
		n.since, n.logged = now, 0
	}
	if n.logged == newsPerMinute {
		n.quiet++
		return 0, false
	}
	n.logged++
	quiet, n.quiet = n.quiet, 0
	return quiet, true
}
