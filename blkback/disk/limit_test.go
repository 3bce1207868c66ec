package disk

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Over ten seconds a flood of requests gets what the limits say, and the burst.
func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		name   string
		limits Limits
		size   int
		reads  int // expected in ten seconds of clock
		writes int
	}{
		{"reads by number", Limits{Read: Rate{IOPS: 100}}, 4096, 1010, -1},
		{"both by number", Limits{Total: Rate{IOPS: 100}}, 4096, 505, 505},
		{"writes by bytes", Limits{Write: Rate{Bytes: 1 << 20, Burst: time.Second}}, 4096, -1, 2816},
		{"larger than the bucket", Limits{Write: Rate{Bytes: 1 << 20}}, 4 << 20, -1, 3},
		{"the stricter of two", Limits{Read: Rate{IOPS: 1000}, Total: Rate{IOPS: 50}}, 512, 252, 252},
		{"less than one per burst", Limits{Read: Rate{IOPS: 1}, Write: Rate{IOPS: 2}}, 512, 11, 21},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := NewLimiter(tt.limits)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				var done [2]atomic.Int64
				var wg sync.WaitGroup
				for d, want := range []int{tt.reads, tt.writes} {
					if want < 0 {
						if err := l.Wait(ctx, Direction(d), tt.size); err != nil {
							t.Errorf("without a limit: %v", err)
						}
						continue
					}
					for range 8 {
						wg.Go(func() {
							for l.Wait(ctx, Direction(d), tt.size) == nil {
								done[d].Add(1)
							}
						})
					}
				}
				wg.Wait()
				sum, wantSum := 0, 0
				for d, want := range []int{tt.reads, tt.writes} {
					if want < 0 {
						continue
					}
					got := int(done[d].Load())
					sum, wantSum = sum+got, wantSum+want
					// Which of two that share a limit is the first is left to chance.
					if got < want-want/4-2 || got > want+want/4+2 {
						t.Errorf("%d requests of kind %d in 10 s, want %d", got, d, want)
					}
				}
				if sum < wantSum-wantSum/100-2 || sum > wantSum+wantSum/100+2 {
					t.Errorf("%d requests in 10 s, want %d", sum, wantSum)
				}
			})
		})
	}
}

// Limits that change act at once, also on requests that wait already.
func TestLimitsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(Limits{Read: Rate{IOPS: 1, Burst: time.Hour}})
		ctx := t.Context()
		start := time.Now()
		for range 3600 { // saved up
			l.Wait(ctx, Reading, 0)
		}
		if time.Since(start) > 0 {
			t.Fatal("the burst had to wait")
		}
		l.Set(Limits{Read: Rate{Bytes: 1}})
		l.Wait(ctx, Reading, 3600)
		passed := make(chan time.Duration)
		go func() {
			l.Wait(ctx, Reading, 1)
			passed <- time.Since(start)
		}()
		time.Sleep(time.Minute)
		l.Set(Limits{})
		if d := <-passed; d != time.Minute {
			t.Errorf("a waiting request passed after %v, want when the limit was lifted", d)
		}
		l.Set(Limits{Read: Rate{IOPS: 10}})
		start = time.Now()
		for range 101 {
			l.Wait(ctx, Reading, 0)
		}
		if d := time.Since(start); d < 9900*time.Millisecond || d > 10100*time.Millisecond {
			t.Errorf("101 requests at 10 a second took %v", d)
		}
	})
}

// Reads do not wait behind writes that have used up their share.
func TestLimitsAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(Limits{Read: Rate{IOPS: 1000}, Write: Rate{IOPS: 1}})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for l.Wait(ctx, Writing, 512) == nil {
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		for range 50 {
			l.Wait(ctx, Reading, 512)
		}
		if d := time.Since(start); d > 0 {
			t.Errorf("reads within their burst waited %v", d)
		}
		cancel()
		wg.Wait()
	})
}

func TestLimitedDisk(t *testing.T) {
	d, _ := mustOpen(t, newFile(t, noise(1, 4096)), Options{Format: Raw})
	l := NewLimiter(Limits{Total: Rate{IOPS: 1}})
	d = Limit(d, l)
	if _, err := d.WriteAt([]byte{1}, 0); err != nil {
		t.Fatal(err)
	}
	if err := d.Flush(); err != nil {
		t.Errorf("a flush is never limited: %v", err)
	}
	ended := make(chan error)
	go func() {
		var err error
		for err == nil { // the second second is not reached
			_, err = d.ReadAt(make([]byte, 1), 0)
		}
		ended <- err
	}()
	time.Sleep(10 * time.Millisecond)
	d.Close()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("a waiting request after Close: %v", err)
	}
}

func BenchmarkLimiter(b *testing.B) {
	for name, limits := range map[string]Limits{
		"none": {}, "far away": {Total: Rate{IOPS: 1 << 40, Bytes: 1 << 50, Burst: time.Hour}},
	} {
		b.Run(name, func(b *testing.B) {
			l := NewLimiter(limits)
			b.ReportAllocs()
			for b.Loop() {
				l.Wait(b.Context(), Reading, 4096)
			}
		})
	}
}
