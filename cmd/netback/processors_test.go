package main

import (
	"runtime"
	"testing"
)

func TestProcessors(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	p := newProcessors()
	for _, step := range []struct{ by, want int }{{4, before + 4}, {1, before + 5}, {-4, before + 1}, {-1, before}} {
		p.Change(step.by)
		if n := runtime.GOMAXPROCS(0); n != step.want {
			t.Errorf("%+d: %d processors, want %d", step.by, n, step.want)
		}
	}
}
