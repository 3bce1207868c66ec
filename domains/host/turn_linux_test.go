package host_test

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"goxl/domains/host"
)

func turns(path string) *host.Host {
	p := host.DefaultPaths()
	p.Turns = path
	return host.New(p)
}

func TestOneTurnAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "transaction") // its folder is made
	done := turns(path).Turn(context.Background())
	var mine atomic.Bool
	next := make(chan func())
	go func() {
		end := turns(path).Turn(context.Background())
		if !mine.Load() {
			t.Error("two have their turn")
		}
		next <- end
	}()
	time.Sleep(20 * time.Millisecond)
	mine.Store(true)
	done()
	(<-next)()
}

// Nobody waits for ever: not for one who was stopped, not once it is over, not where
// there can be no lock.
func TestTurnIsNotWorthWaitingFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "transaction")
	defer turns(path).Turn(context.Background())()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for _, tt := range []struct {
		name string
		ctx  context.Context
		path string
	}{
		{"held", context.Background(), path},
		{"ended", ended, path},
		{"no folder", context.Background(), "/dev/null/transaction"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			over := make(chan struct{})
			go func() {
				turns(tt.path).Turn(tt.ctx)()
				close(over)
			}()
			select {
			case <-over:
			case <-time.After(30 * time.Second):
				t.Fatal("still waiting")
			}
		})
	}
}
