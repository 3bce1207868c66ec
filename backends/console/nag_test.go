package console

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"goxl/domains/logs"
)

func TestNagCountsAllTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, seen := observer.New(zap.InfoLevel)
		n := nag{log: logs.New(core), text: "trouble"}
		for range 90 {
			n.hit(errors.New("again"))
			n.hit(nil)
			time.Sleep(time.Second)
		}
		n.end()
		n.end()
		var counts []int64
		for _, e := range seen.All() {
			counts = append(counts, e.ContextMap()["times"].(int64))
		}
		if len(counts) != 3 || counts[0] != 1 || counts[0]+counts[1]+counts[2] != 90 {
			t.Errorf("90 times trouble in 90 seconds is logged as %v, want it three times: at first, after a minute, and in the end", counts)
		}
	})
}
