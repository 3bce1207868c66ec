package main

import (
	"runtime"
	"testing"

	"goxl/cmd/internal/oneproc"
)

func TestUseProcessors(t *testing.T) {
	oneproc.All()
	all := runtime.GOMAXPROCS(0)
	for _, tt := range []struct {
		verb string
		all  bool
	}{
		{"list", false}, {"inf", false}, {"nonsense", false}, {gcVerb, false},
		{"create", true}, {"crea", true}, {"migrate-receive", true}, {superviseVerb, true},
	} {
		runtime.GOMAXPROCS(all + 1)
		useProcessors(tt.verb)
		if got := runtime.GOMAXPROCS(0) == all; got != tt.all {
			t.Errorf("%s: all processors %t, want %t", tt.verb, got, tt.all)
		}
	}
	oneproc.All()
}
