package main

import (
	"runtime"
	"slices"
)

// several are the commands with work for more than one processor: they move, pack or
// write guests' memory, or look after many guests.
var several = []string{"create", "dump-core", "migrate", "migrate-receive", "restore", "save", "stream", superviseVerb}

// useProcessors keeps a command to one processor unless it has work for more. Nearly
// all of them ask, wait for an answer and print it; to have another processor woken
// for each answer takes them longer than the answer (bench/table.md has list, info
// and domid).
func useProcessors(r release, verb string) {
	if e := lookup(r, verb); e != nil {
		verb = e.name
	}
	if !slices.Contains(several, verb) {
		runtime.GOMAXPROCS(1)
	}
}
