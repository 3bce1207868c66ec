// Package oneproc lets a program start on one processor.
//
// A command that asks, waits and prints has nothing to do on a second processor,
// yet Go's runtime wakes a thread there for every goroutine that could run. To take
// the processor away later is dearer than to start without: whatever memory has
// been set aside for it by then is put back piece by piece, some 130 page faults.
// Go initialises packages in the order of their paths, those without imports
// first: this one, which imports the runtime alone, comes before nearly all others.
//
//	import "goxl/cmd/internal/oneproc"
//
//	if worksOnPages(command) {
//		oneproc.All()
//	}
package oneproc

import "runtime"

// given is how many processors Go would have the program use: those there are, or
// what $GOMAXPROCS says.
var given = runtime.GOMAXPROCS(1)

// All gives the program all of them.
func All() { runtime.GOMAXPROCS(given) }
