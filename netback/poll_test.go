//go:build linux

package netback

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"
)

// eyes returns a poller that looks at a bell.
func eyes(t *testing.T) (*poller, *bell) {
	t.Helper()
	p, b := &poller{}, &bell{}
	if err := errors.Join(b.make(), p.open()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.close(), p.close(), b.close(), b.close()); err != nil {
			t.Error(err)
		}
	})
	p.watch(seesBell, b.FD())
	return p, b
}

// seen waits, for no longer than it takes until the bell is rung for certain.
func seen(t *testing.T, p *poller) time.Duration {
	t.Helper()
	start := time.Now()
	for !p.ready(seesBell) {
		if err := p.wait(0); err != nil {
			t.Fatal(err)
		}
	}
	return time.Since(start)
}

func TestPollerWakes(t *testing.T) {
	for _, after := range []time.Duration{0, nap / 4, 5 * nap} {
		t.Run(fmt.Sprint("after ", after), func(t *testing.T) {
			p, b := eyes(t)
			for range 3 {
				go func() {
					time.Sleep(after)
					b.ring()
				}()
				if d := seen(t, p); d < after {
					t.Errorf("woken after %v", d)
				}
				b.hush()
				p.poll(0)
				if p.ready(seesBell) {
					t.Error("still rings")
				}
			}
		})
	}
}

func TestPollerLooksAway(t *testing.T) {
	p, b := eyes(t)
	if err := p.wait(2 * nap); err != nil { // parks, and knows the bell
		t.Fatal(err)
	}
	p.watch(seesBell, -1)
	b.ring()
	start := time.Now()
	for time.Since(start) < 3*nap {
		if err := p.wait(3 * nap); err != nil || p.ready(seesBell) {
			t.Fatalf("sees what it does not look at, %v", err)
		}
	}
	p.watch(seesBell, b.FD())
	seen(t, p)
}

func TestPollerLimit(t *testing.T) {
	p, b := eyes(t)
	for _, limit := range []time.Duration{nap / 4, nap, 3 * nap} {
		start, ends := time.Now(), 0
		for ; time.Since(start) < limit; ends++ {
			if err := p.wait(limit - time.Since(start)); err != nil || p.ready(seesBell) {
				t.Fatal(err, p.ready(seesBell))
			}
		}
		if ends > 100 { // of which signals are some
			t.Errorf("%d sleeps for %v", ends, limit)
		}
	}
	go func() {
		time.Sleep(6 * nap)
		b.ring()
	}()
	if d := seen(t, p); d < 5*nap {
		t.Errorf("woken after %v: the limit of an earlier wait counts", d)
	}
}

// TestNapEndsForOthers holds what naps rest on: the runtime can stop a goroutine that it
// thinks is computing, as often as it likes.
func TestNapEndsForOthers(t *testing.T) {
	p, b := eyes(t)
	done := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if p.poll(time.Minute); p.err != nil || p.ready(seesBell) {
				b.hush()
			}
		}
	}()
	start := time.Now()
	for range 30 {
		runtime.GC()
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("30 collections took %v beside a nap of a minute", d)
	}
	close(stop)
	b.ring()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestPollerAllocatesNothing(t *testing.T) {
	p, b := eyes(t)
	n := testing.AllocsPerRun(20, func() {
		b.ring()
		if err := p.wait(0); err != nil {
			t.Error(err)
		}
		b.hush()
		if err := p.park(nap / 10); err != nil {
			t.Error(err)
		}
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}
