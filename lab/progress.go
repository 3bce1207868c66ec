package lab

import "time"

// Progress is told what a long operation does. Its methods are called from
// several goroutines when hosts start side by side.
type Progress interface {
	// Step begins a step; expect is how long it usually takes, 0 when that is
	// unknown. The returned function ends it, with nil when it went well.
	Step(what string, expect time.Duration) (done func(error))
}

// step begins a step of p, which may be nil.
func step(p Progress, what string, expect time.Duration) func(error) {
	if p == nil {
		return func(error) {}
	}
	return p.Step(what, expect)
}
