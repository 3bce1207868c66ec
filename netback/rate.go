package netback

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// minBurst is how much a guest may always send at once, so that its largest packet
// never waits for ever. The kernel's backend allows as much.
const minBurst = 128 << 10

// limit is how much a guest may send. The zero value is no limit.
type limit struct {
	bytes uint64
	per   time.Duration
}

// parseLimit reads the node rate, "bytes,microseconds". No node is no limit.
func parseLimit(s string) (limit, error) {
	if s == "" {
		return limit{}, nil
	}
	b, us, ok := strings.Cut(s, ",")
	bytes, err1 := strconv.ParseUint(b, 10, 63)
	usecs, err2 := strconv.ParseUint(us, 10, 32)
	if !ok || err1 != nil || err2 != nil {
		return limit{}, fmt.Errorf("rate %.64q is not of the form bytes,microseconds", s)
	}
	if bytes == 0 || usecs == 0 {
		return limit{}, nil
	}
	return limit{bytes, time.Duration(usecs) * time.Microsecond}, nil
}

// bucket holds all queues of a vif together to a limit. Its methods may be called
// from several goroutines.
type bucket struct {
	on atomic.Bool // there is a limit

	mu     sync.Mutex
	limit  limit
	tokens float64 // bytes
	last   time.Time
}

// set changes the limit. A full bucket is there at once.
func (b *bucket) set(l limit, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.limit == l {
		return
	}
	b.limit, b.last, b.tokens = l, now, b.burst()
	b.on.Store(l.per > 0)
}

// limited reports whether there is a limit: where there is none, nobody need ask for
// the time, which is a system call in a PV domain.
func (b *bucket) limited() bool { return b.on.Load() }

func (b *bucket) burst() float64 { return float64(max(b.limit.bytes, minBurst)) }

// take takes n bytes, at most minBurst, or returns after how long they will be there.
func (b *bucket) take(n int, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.limit.per == 0 {
		return 0
	}
	perSecond := float64(b.limit.bytes) / b.limit.per.Seconds()
	b.tokens = min(b.burst(), b.tokens+now.Sub(b.last).Seconds()*perSecond)
	b.last = now
	if missing := float64(n) - b.tokens; missing > 0 {
		return max(time.Duration(missing/perSecond*float64(time.Second)), time.Microsecond)
	}
	b.tokens -= float64(n)
	return 0
}
