package blkback

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"goxl/blkback/blkif"
	"goxl/blkback/disk"
	"goxl/domains/logs"
)

const (
	// roomPause is the time between two tries of writes that wait for room.
	roomPause = 250 * time.Millisecond

	sayPause = time.Minute // between messages that a guest can cause
)

// governor holds the requests of one disk to its policy. All its queues share it, and
// the policy may change at any time. A nil governor lets everything pass.
type governor struct {
	limiter *disk.Limiter
	limited atomic.Bool
	pause   atomic.Bool
	log     *logs.Logger

	mu    sync.Mutex
	said  time.Time
	quiet int
}

func newGovernor(log *logs.Logger) *governor {
	return &governor{limiter: disk.NewLimiter(disk.Limits{}), log: log}
}

func (g *governor) set(p Policy) {
	l := p.Limits
	l.Read.Burst, l.Write.Burst, l.Total.Burst = 0, 0, 0
	g.limited.Store(l != disk.Limits{})
	g.limiter.Set(p.Limits)
	g.pause.Store(p.Pause)
}

// wait waits until r may start. The error says that ctx has ended before.
func (g *governor) wait(ctx context.Context, r *request) error {
	if g.unlimited() || r.Op == blkif.Flush && r.n == 0 {
		return nil
	}
	way := disk.Writing
	if r.Op == blkif.Read {
		way = disk.Reading
	}
	return g.limiter.Wait(ctx, way, r.n)
}

func (g *governor) unlimited() bool { return g == nil || !g.limited.Load() }

// holds reports whether r, which ended with err, has to be tried again because the
// host has no room. Only what writes data is: who tries to flush once more after an
// error may be told that all is well when it is not.
func (g *governor) holds(r *request, err error) bool {
	if g == nil || err == nil {
		return false
	}
	full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
	hold := full && g.pause.Load() && !errors.Is(err, errFlush) && r.n > 0
	if hold {
		g.say("no room on the host, writes wait for it", err)
	} else if !errors.Is(err, errors.ErrUnsupported) {
		g.say("the guest gets an I/O error", err)
	}
	return hold
}

// say logs what may come as often as the guest likes: once a minute.
func (g *governor) say(what string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); now.Sub(g.said) >= sayPause {
		g.log.Warn(what, logs.Error(err), logs.Int("more_since", g.quiet))
		g.said, g.quiet = now, 0
		return
	}
	g.quiet++
}
