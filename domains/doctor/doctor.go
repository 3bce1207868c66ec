package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"goxl/domains"
)

// Level is how much a finding matters.
type Level int

// The levels.
const (
	Fine    Level = iota // as it should be; said so that nothing is silently unlooked at
	Note                 // worth knowing
	Trouble              // something does not work, or is left that costs memory, names or files
)

// String returns the word that begins a line of "xl doctor".
func (l Level) String() string { return [...]string{"ok", "note", "PROBLEM"}[l] }

// Finding is one thing that was looked at.
type Finding struct {
	Level  Level
	About  string // what was looked at: "console daemon"
	Text   string // what it is like
	Advice string // what to do; empty when there is nothing to be done
}

// check looks at one thing. An error means that it could not be looked at.
type check struct {
	about string
	run   func(context.Context, *domains.Manager) ([]Finding, error)
	// passing: what it finds may be the work of another command that is under way, and
	// counts when it is still there a while later.
	passing bool
}

func checks() []check {
	return []check{
		{about: "hypervisor", run: hypervisor},
		{about: "domain 0", run: domain0},
		{about: "kernel devices", run: kernelDevices},
		{about: "console daemon", run: consoleDaemon, passing: true},
		{about: "network backend", run: networkBackend, passing: true},
		{about: "memory", run: memory},
		{about: "directories", run: directories},
		{about: "hotplug scripts", run: scripts},
		{about: "bridge", run: bridge},
		{about: "guests", run: guests, passing: true},
		{about: "supervisor", run: supervisor, passing: true},
		{about: "creations cut short", run: cutShort},
		{about: "xenstore", run: storeLeftovers, passing: true},
		{about: "files", run: fileLeftovers, passing: true},
		{about: "loop devices", run: loopLeftovers, passing: true},
	}
}

// Options of an examination.
type Options struct {
	// Patience is how long what may be another command's work under way is given to
	// pass; 0 is two seconds.
	Patience time.Duration
}

// Examine looks at everything and returns at least one finding for each thing, in a
// fixed order. What cannot be looked at is a finding, too. It makes no change, blocks
// for Options.Patience at most beside its requests, and stops when ctx ends.
func Examine(ctx context.Context, m *domains.Manager, o Options) []Finding {
	if o.Patience == 0 {
		o.Patience = 2 * time.Second
	}
	all := checks()
	found := make([][]Finding, len(all))
	again := false
	for i, c := range all {
		found[i] = c.look(ctx, m)
		again = again || c.passing && worst(found[i]) > Fine
	}
	if again {
		select {
		case <-ctx.Done():
		case <-time.After(o.Patience):
		}
		for i, c := range all {
			if c.passing && worst(found[i]) > Fine {
				found[i] = lasting(found[i], c.look(ctx, m))
			}
		}
	}
	return slices.Concat(found...)
}

// look runs a check.
func (c check) look(ctx context.Context, m *domains.Manager) []Finding {
	list, err := c.run(ctx, m)
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		list = append(list, Finding{Trouble, c.about, fmt.Sprintf("could not be looked at: %v", err), hint(err)})
	}
	for i := range list {
		list[i].About = c.about
	}
	return list
}

// lasting returns what was found both times; what is fine now needs no first time.
func lasting(before, now []Finding) []Finding {
	return slices.DeleteFunc(now, func(f Finding) bool { return f.Level > Fine && !slices.Contains(before, f) })
}

func worst(list []Finding) Level {
	level := Fine
	for _, f := range list {
		level = max(level, f.Level)
	}
	return level
}

// hint is what an error itself advises.
func hint(err error) string {
	var e *domains.Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}

func fine(format string, args ...any) []Finding {
	return []Finding{{Level: Fine, Text: fmt.Sprintf(format, args...)}}
}

// orFine is list, or the one finding that all is well.
func orFine(list []Finding, format string, args ...any) []Finding {
	if len(list) == 0 {
		return fine(format, args...)
	}
	return list
}
