package main

import (
	"runtime/debug"
	"slices"

	"goxl/cmd/internal/oneproc"
)

// several are the commands with work for more than one processor: they move, pack or
// write guests' memory, or look after many guests.
var several = []string{"create", "dump-core", "migrate", "migrate-receive", "restore", "save", "stream", superviseVerb}

// garbage is by how much, in percent, the heap of a command that ends may grow before
// its garbage is collected. The buffers for pages, which are made once, are enough to
// have Go's usual 100 collect nothing several times over: a fifth of the processor
// time of restoring a guest of 64 MiB.
const garbage = 800

// useProcessors gives all processors to a command that has work for them. The others,
// nearly all, ask, wait for an answer and print it; to have another processor woken
// for each answer takes them longer than the answer (bench/table.md has list, info
// and domid).
func useProcessors(verb string) {
	// Which release runs is not known yet. Another may cut short a name in another
	// way, which here costs no more than time.
	if e := lookup(newestRelease, verb); e != nil {
		verb = e.name
	}
	if !slices.Contains(several, verb) {
		return
	}
	oneproc.All()
	if verb == superviseVerb {
		return // it does not end
	}
	if usual := debug.SetGCPercent(garbage); usual != 100 {
		debug.SetGCPercent(usual) // $GOGC says so
	}
}
