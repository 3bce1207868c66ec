package main

import (
	"fmt"
	"io"
)

// globals are the options before the command.
type globals struct {
	verbosity  int  // how often -v was given
	dryRun     bool // -N
	force      bool // -f: nothing in xl refuses to run without it
	progressCR bool // -t
	timestamps bool // -T

	stats, strict, jsonErrors bool // ours
}

// parseGlobals reads the global options of args, whose first element is the
// program's name, and returns what follows them, the command first. Like the
// genuine xl it stops at the first plain argument and knows letters only; our
// own long names match in full. Messages about mistakes go to w.
func parseGlobals(args []string, r func() release, w io.Writer) (g globals, rest []string, ok bool) {
	for rest = args[1:]; len(rest) > 0; rest = rest[1:] {
		a := rest[0]
		switch {
		case a == "--":
			return g, rest[1:], true
		case len(a) < 2 || a[0] != '-':
			return g, rest, true
		case g.setOwn(a):
			continue
		}
		for i := 1; i < len(a); i++ { // a second dash is a letter as well
			if a[i] == 'T' && r() < 15 || !g.set(a[i]) {
				fmt.Fprintf(w, "%s: invalid option -- '%c'\nunknown global option\n", args[0], a[i])
				return g, nil, false
			}
		}
	}
	return g, nil, true
}

func (g *globals) set(letter byte) bool {
	switch letter {
	case 'v':
		g.verbosity++
	case 'N':
		g.dryRun = true
	case 'f':
		g.force = true
	case 't':
		g.progressCR = true
	case 'T':
		g.timestamps = true
	default:
		return false
	}
	return true
}

func (g *globals) setOwn(arg string) bool {
	switch arg {
	case "--stats":
		g.stats = true
	case "--strict":
		g.strict = true
	case "--json-errors":
		g.jsonErrors = true
	default:
		return false
	}
	return true
}
