package main

import (
	"runtime/debug"
	"slices"
)

// makers of garbage are the commands that move, pack or write guests' memory, and end.
var makers = []string{"create", "dump-core", "migrate", "migrate-receive", "restore", "save", "stream"}

// garbage is by how much, in percent, the heap of such a command may grow before its
// garbage is collected. The buffers for pages, which are made once, are enough to have
// Go's usual 100 collect nothing several times over: a fifth of the processor time of
// restoring a guest of 64 MiB.
const garbage = 800

// allowGarbage lets a command that makes garbage and ends keep it for longer.
func allowGarbage(verb string) {
	// Which release runs is not known yet. Another may cut short a name in another
	// way, which here costs no more than time.
	if e := lookup(newestRelease, verb); e != nil {
		verb = e.name
	}
	if !slices.Contains(makers, verb) {
		return
	}
	if usual := debug.SetGCPercent(garbage); usual != 100 {
		debug.SetGCPercent(usual) // $GOGC says so
	}
}
