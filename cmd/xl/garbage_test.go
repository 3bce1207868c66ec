package main

import (
	"runtime/debug"
	"testing"
)

func TestAllowGarbage(t *testing.T) {
	for _, tt := range []struct {
		verb    string
		percent int
	}{
		{"list", 100}, {"inf", 100}, {"nonsense", 100}, {gcVerb, 100}, {superviseVerb, 100},
		{"create", garbage}, {"crea", garbage}, {"migrate-receive", garbage},
	} {
		allowGarbage(tt.verb)
		if got := debug.SetGCPercent(100); got != tt.percent {
			t.Errorf("%s: garbage may grow by %d %%, want %d", tt.verb, got, tt.percent)
		}
	}
	debug.SetGCPercent(50)
	if allowGarbage("create"); debug.SetGCPercent(100) != 50 {
		t.Error("what $GOGC says is not kept")
	}
}
