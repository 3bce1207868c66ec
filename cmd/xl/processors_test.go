package main

import (
	"runtime"
	"runtime/debug"
	"testing"

	"goxl/cmd/internal/oneproc"
)

func TestUseProcessors(t *testing.T) {
	oneproc.All()
	all := runtime.GOMAXPROCS(0)
	for _, tt := range []struct {
		verb    string
		all     bool
		percent int
	}{
		{"list", false, 100}, {"inf", false, 100}, {"nonsense", false, 100}, {gcVerb, false, 100},
		{"create", true, garbage}, {"crea", true, garbage}, {"migrate-receive", true, garbage}, {superviseVerb, true, 100},
	} {
		runtime.GOMAXPROCS(all + 1)
		useProcessors(tt.verb)
		if got := runtime.GOMAXPROCS(0) == all; got != tt.all {
			t.Errorf("%s: all processors %t, want %t", tt.verb, got, tt.all)
		}
		if got := debug.SetGCPercent(100); got != tt.percent {
			t.Errorf("%s: garbage may grow by %d %%, want %d", tt.verb, got, tt.percent)
		}
	}
	debug.SetGCPercent(50)
	if useProcessors("create"); debug.SetGCPercent(100) != 50 {
		t.Error("what $GOGC says is not kept")
	}
	oneproc.All()
}
