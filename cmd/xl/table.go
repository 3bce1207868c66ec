package main

import "strings"

// The releases that goxl drives, by the minor number of Xen 4.x.
const (
	oldestRelease release = 14
	newestRelease release = 22
)

// release is the minor number of the running Xen 4.x: commands and help texts
// are those of the xl that came with it.
type release int

// entry describes one command of the genuine xl, as its help shows it. A command
// whose description changed over time has one entry per version of it.
type entry struct {
	name     string
	dryRun   bool    // takes part in the global -N
	modifies bool    // shows the global -f in its usage
	since    release // first release with this text, 0 for the oldest
	until    release // last release with this text, 0 for the newest
	desc     string
	usage    string
	options  string
	// emptyOptions has the heading "Options:" printed over nothing.
	emptyOptions bool
}

// commandTable lists the commands of one release in the order of its help.
func commandTable(r release) []*entry {
	var table []*entry
	for _, part := range [][]entry{guestEntries, infoEntries, deviceEntries, hostEntries} {
		for i := range part {
			if e := &part[i]; e.since <= r && (e.until == 0 || r <= e.until) {
				table = append(table, e)
			}
		}
	}
	return table
}

// lookup finds the command called name or, when there is none, the only one
// that starts with it. It returns nil for an unknown or ambiguous name.
func lookup(r release, name string) *entry {
	var found *entry
	matches := 0
	for _, e := range commandTable(r) {
		if e.name == name {
			return e
		}
		if strings.HasPrefix(e.name, name) {
			found = e
			matches++
		}
	}
	if matches != 1 {
		return nil
	}
	return found
}
