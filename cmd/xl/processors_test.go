package main

import (
	"runtime"
	"testing"
)

func TestUseProcessors(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for _, tt := range []struct {
		verb string
		all  bool
	}{
		{"list", false}, {"inf", false}, {"nonsense", false}, {gcVerb, false},
		{"create", true}, {"crea", true}, {"migrate-receive", true}, {superviseVerb, true},
	} {
		runtime.GOMAXPROCS(3)
		useProcessors(17, tt.verb)
		if got := runtime.GOMAXPROCS(0) == 3; got != tt.all {
			t.Errorf("%s: all processors %t, want %t", tt.verb, got, tt.all)
		}
	}
}
