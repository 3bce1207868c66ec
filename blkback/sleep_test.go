//go:build linux

package blkback

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sleeperOf is a sleeper with an eventfd in the place of a port.
func sleeperOf(t *testing.T, look func() bool) (s *sleeper, port int) {
	t.Helper()
	port, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	s = &sleeper{}
	s.wake() // does nothing
	if err := s.open(port, -1, look); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
		s.wake() // does nothing
		unix.Close(port)
	})
	return s, port
}

// TestSleeperMissesNothing has several goroutines bring news while one sleeps, as often as
// it can: it has to see each of them in the end, however the two meet.
func TestSleeperMissesNothing(t *testing.T) {
	const callers, each = 4, 20_000
	var brought, rung atomic.Int64
	seen := int64(0)
	var s *sleeper
	port := -1
	events := func() (n int64) {
		var b [8]byte
		if _, err := unix.Read(port, b[:]); err == nil {
			n = int64(binary.NativeEndian.Uint64(b[:]))
			rung.Add(n)
		}
		return n
	}
	s, port = sleeperOf(t, func() bool { return events() > 0 || brought.Load() > seen })
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for i := range each {
				brought.Add(1)
				s.wake()
				if i%64 == 0 {
					_, _ = unix.Write(port, []byte{1, 0, 0, 0, 0, 0, 0, 0})
				}
			}
		})
	}
	over := time.AfterFunc(30*time.Second, func() { panic("the sleeper was not woken") })
	defer over.Stop()
	const rings = callers * (each/64 + 1)
	for seen < callers*each || rung.Load() < rings {
		if _, err := s.sleep(forever); err != nil {
			t.Fatal(err)
		}
		seen = brought.Load()
	}
	wg.Wait()
}

func TestSleeperIsLate(t *testing.T) {
	var ready atomic.Bool
	s, port := sleeperOf(t, ready.Load)
	begin := time.Now()
	if late, err := s.sleep(50 * time.Millisecond); err != nil || !late || time.Since(begin) < 50*time.Millisecond {
		t.Errorf("sleep() = %v, %v after %s", late, err, time.Since(begin))
	}
	// What the port has is no news by itself: it is for look to say.
	if _, err := unix.Write(port, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, func() { ready.Store(true); s.wake() })
	begin = time.Now()
	if late, err := s.sleep(forever); err != nil || late || time.Since(begin) < 40*time.Millisecond {
		t.Errorf("sleep() = %v, %v after %s", late, err, time.Since(begin))
	}
	if late, err := s.sleep(forever); err != nil || late || s.looks != 1 {
		t.Errorf("with news, sleep() = %v, %v after %d looks", late, err, s.looks)
	}
}
