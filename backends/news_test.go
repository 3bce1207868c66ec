package backends

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"goxl/domains/logs"
)

func TestNewsOfABusyGuestIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, seen := observer.New(zap.InfoLevel)
		n, log := &Node{}, logs.New(core)
		for range 100 {
			n.News(log, "device connected")
		}
		if got := seen.Len(); got != newsPerMinute {
			t.Errorf("%d of 100 messages logged, want %d", got, newsPerMinute)
		}
		time.Sleep(time.Minute)
		n.News(log, "device connected")
		last := seen.All()[seen.Len()-1]
		if got := last.ContextMap()["more_since"]; got != int64(100-newsPerMinute) {
			t.Errorf("the next message says that %v were not logged, want %d", got, 100-newsPerMinute)
		}
		n.News(log, "device disconnected")
		if last := seen.All()[seen.Len()-1]; len(last.Context) != 0 {
			t.Errorf("the one after it says %v", last.ContextMap())
		}
	})
}
