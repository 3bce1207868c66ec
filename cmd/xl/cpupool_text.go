package main

import (
	"fmt"
	"strconv"
	"strings"
)

// poolHeader is the first line of "xl cpupool-list".
func poolHeader(cpus bool) string {
	if cpus {
		return fmt.Sprintf("%-19s%s\n", "Name", "CPU list")
	}
	return fmt.Sprintf("%-19s%s\n", "Name", "CPUs   Sched     Active   Domain count")
}

// poolLine is the line of one pool.
func poolLine(name string, cpus int, sched string, domains int) string {
	return fmt.Sprintf("%-19s%3d %9s       y       %4d\n", name, cpus, sched, domains)
}

// poolCPULine is the line of one pool with -c: each of its CPUs, never a range.
func poolCPULine(name string, cpus []int) string {
	words := make([]string, len(cpus))
	for i, c := range cpus {
		words[i] = strconv.Itoa(c)
	}
	return fmt.Sprintf("%-19s%s\n", name, strings.Join(words, ","))
}
