package main

import (
	"runtime"
	"sync"
)

// processors is how many goroutines run at a time: as many as the machine can run, and
// one for each queue, whose goroutine the runtime thinks is running while it sleeps for a
// moment.
type processors struct {
	mu sync.Mutex
	n  int
}

func newProcessors() *processors { return &processors{n: runtime.GOMAXPROCS(0)} }

// Change makes them more or fewer. It stops all goroutines for a moment.
func (p *processors) Change(by int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n += by
	runtime.GOMAXPROCS(p.n)
}
