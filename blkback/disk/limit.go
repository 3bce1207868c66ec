package disk

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Rate bounds requests of one kind.
type Rate struct {
	IOPS  int64 // requests per second; 0: no limit
	Bytes int64 // per second; 0: no limit
	// Burst is how long a disk may save up what it did not use: after that much idle
	// time it may do as much at once. 0 means DefaultBurst.
	Burst time.Duration
}

// DefaultBurst lets a guest start without a wait, and hides the length of timers.
const DefaultBurst = 100 * time.Millisecond

// Limits are all bounds of one disk. A request must keep within both that of its
// direction and Total.
type Limits struct {
	Read, Write, Total Rate
}

// Limiter makes requests wait so that they keep within limits, which may change at
// any time. A nil Limiter never waits.
type Limiter struct {
	active  atomic.Bool      // whether there is any limit
	turn    [2]chan struct{} // of reads and writes: who may wait for tokens; first come, first served
	mu      sync.Mutex
	changed chan struct{}   // closed when the limits change
	buckets [3]requestBound // reads, writes, all
}

// NewLimiter makes a limiter.
func NewLimiter(l Limits) *Limiter {
	r := &Limiter{changed: make(chan struct{})}
	for i := range r.turn {
		r.turn[i] = make(chan struct{}, 1)
	}
	r.Set(l)
	return r
}

// Set changes the limits; requests that wait are measured anew.
func (r *Limiter) Set(l Limits) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	any := false
	for i, rate := range []Rate{l.Read, l.Write, l.Total} {
		burst := rate.Burst
		if burst <= 0 {
			burst = DefaultBurst
		}
		r.buckets[i].ops.set(now, rate.IOPS, burst)
		r.buckets[i].bytes.set(now, rate.Bytes, burst)
		any = any || rate.IOPS > 0 || rate.Bytes > 0
	}
	r.active.Store(any)
	close(r.changed)
	r.changed = make(chan struct{})
}

// Direction is which way the data of a request go.
type Direction int

// The directions. A discard is a write of no bytes; a flush is never limited.
const (
	Reading Direction = iota
	Writing
)

// Wait blocks until a request of n bytes may start, or ctx ends.
func (r *Limiter) Wait(ctx context.Context, d Direction, n int) error {
	if r == nil || !r.active.Load() {
		return ctx.Err()
	}
	select {
	case r.turn[d] <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-r.turn[d] }()
	for {
		wait, changed := r.take(d, n)
		if wait == 0 {
			return ctx.Err()
		}
		if err := sleep(ctx, wait, changed); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration, changed <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-changed:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// take pays for a request, or says how long to wait before it is worth another try.
func (r *Limiter) take(d Direction, n int) (time.Duration, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	mine, all := &r.buckets[d], &r.buckets[2]
	wait := max(mine.ops.wait(now, 1), mine.bytes.wait(now, float64(n)),
		all.ops.wait(now, 1), all.bytes.wait(now, float64(n)))
	if wait > 0 {
		return wait, r.changed
	}
	for _, b := range []*requestBound{mine, all} {
		b.ops.tokens--
		b.bytes.tokens -= float64(n)
	}
	return 0, nil
}

type requestBound struct{ ops, bytes bucket }

// bucket holds what may be used at once. It may be overdrawn by one request, so that
// one that is larger than the bucket passes too; those after it wait the longer.
type bucket struct {
	rate   float64 // per second; 0: no limit
	depth  float64
	tokens float64
	last   time.Time
}

func (b *bucket) set(now time.Time, rate int64, burst time.Duration) {
	b.fill(now)
	before := b.rate
	b.rate = float64(max(rate, 0))
	b.depth = max(b.rate*burst.Seconds(), 1)
	if before == 0 {
		b.tokens = b.depth // nothing was saved or owed
	}
	b.tokens = min(b.tokens, b.depth)
}

func (b *bucket) fill(now time.Time) {
	b.tokens = min(b.tokens+b.rate*now.Sub(b.last).Seconds(), b.depth)
	b.last = now
}

// wait is how long it takes until a request of that cost may pass.
func (b *bucket) wait(now time.Time, cost float64) time.Duration {
	if b.rate == 0 {
		return 0
	}
	b.fill(now)
	short := min(cost, b.depth) - b.tokens
	if short <= 0 {
		return 0
	}
	// A nanosecond more than the rounding can take away.
	return time.Duration(short/b.rate*float64(time.Second)) + 1
}

// limited is a Disk whose requests wait for a Limiter.
type limited struct {
	Disk
	l      *Limiter
	ctx    context.Context
	cancel context.CancelFunc
}

// Limit is d with its reads, writes and discards held to the limits of l. Close ends
// the wait of requests that have not started, with an error.
func Limit(d Disk, l *Limiter) Disk {
	ctx, cancel := context.WithCancel(context.Background())
	return &limited{d, l, ctx, cancel}
}

func (d *limited) ReadAt(p []byte, off int64) (int, error) {
	if err := d.l.Wait(d.ctx, Reading, len(p)); err != nil {
		return 0, err
	}
	return d.Disk.ReadAt(p, off)
}

func (d *limited) WriteAt(p []byte, off int64) (int, error) {
	if err := d.l.Wait(d.ctx, Writing, len(p)); err != nil {
		return 0, err
	}
	return d.Disk.WriteAt(p, off)
}

func (d *limited) Discard(off, n int64) error {
	if err := d.l.Wait(d.ctx, Writing, 0); err != nil {
		return err
	}
	return d.Disk.Discard(off, n)
}

func (d *limited) Close() error {
	d.cancel()
	return d.Disk.Close()
}
