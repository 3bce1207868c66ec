package domains

import (
	"sync"
	"time"
)

// Timeline records how long the named steps of one operation took. Its methods
// work on a nil *Timeline, at no cost, and are safe for concurrent use.
type Timeline struct {
	mu    sync.Mutex
	begin time.Time
	steps []Step
}

// Step is one named piece of an operation.
type Step struct {
	Name  string        `json:"name"`
	Start time.Duration `json:"start"` // since the operation began
	Took  time.Duration `json:"took"`
}

// NewTimeline starts the clock.
func NewTimeline() *Timeline { return &Timeline{begin: time.Now()} }

// Step begins a step and returns the function that ends it:
//
//	defer t.Step("introduce")()
func (t *Timeline) Step(name string) func() {
	if t == nil {
		return func() {}
	}
	start := time.Now()
	return func() {
		end := time.Now()
		t.mu.Lock()
		defer t.mu.Unlock()
		t.steps = append(t.steps, Step{name, start.Sub(t.begin), end.Sub(start)})
	}
}

// Steps returns the finished steps in the order in which they ended.
func (t *Timeline) Steps() []Step {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Step(nil), t.steps...)
}

// Total is the time since the clock was started.
func (t *Timeline) Total() time.Duration {
	if t == nil {
		return 0
	}
	return time.Since(t.begin)
}
