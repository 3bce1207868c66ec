package backends_test

import (
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"goxl/backends"
	"goxl/backends/backtest"
	"goxl/domains/logs"
)

// A guest that keeps breaking the rules is logged once and then counted, and the count
// is told at last when the device goes.
func TestComplaintsAreCounted(t *testing.T) {
	core, seen := observer.New(zap.WarnLevel)
	b := &bench{Machine: backtest.New(t), drv: &echoes{}, log: logs.New(core)}
	b.run(t)
	id := backends.ID{Dom: 7, Dev: 3}
	b.AddDevice("echo", "echo", id, ours)
	const tries = 3
	for range tries {
		b.Await(b.back(id, "state"), "2")
		f := b.front(t, id)
		f.write("ring-ref", "4000000000")
		f.write("state", "3")
		b.Await(b.back(id, "state"), "5")
		f.write("state", "6")
		b.Await(b.back(id, "state"), "6")
		f.write("state", "1")
	}
	b.Detach("echo", "echo", id, true)
	b.Await(b.back(id, "state"), "6")
	b.stop()
	all := seen.FilterLevelExact(zapcore.WarnLevel).All()
	if len(all) != 2 || all[1].ContextMap()["more_since"] != int64(tries-1) {
		t.Errorf("%d connections that failed are logged as %+v, want one and a count", tries, all)
	}
}
