package main

import (
	"context"
	"fmt"

	"goxl/domains"
)

// gcVerb removes what a killed xl create has left.
const gcVerb = "gc"

// gcCommand is "xl gc [--dry-run]".
func gcCommand(a *app) *command {
	dry := a.globals.dryRun
	return a.new(gcVerb, body{
		table: optionTable{"n", []longOption{{"dry-run", false, 'n'}}},
		opt:   func(byte, string) error { dry = true; return nil },
		run: func(ctx context.Context, args []string) error {
			if len(args) > 0 {
				a.out.WriteString(helpCommand(a.release, gcVerb))
				return exitStatus(2)
			}
			ctx, stop := interruptible(ctx)
			defer stop()
			return a.gc(ctx, dry)
		},
	})
}

// gc says what it found and did. It fails when something could not be removed.
func (a *app) gc(ctx context.Context, dry bool) error {
	list, err := a.host.domains.Collect(ctx, domains.CollectOptions{DryRun: dry})
	status := a.rep.report(err)
	for i := range list {
		l := &list[i]
		a.out.WriteString(gcText(l, dry))
		if l.Err != nil {
			a.out.Flush() // in order with what follows on stderr
			status = max(status, a.rep.report(failf(l.Err, "gc: something of %s is left; run it again when the cause is gone", l.Name)))
		}
	}
	if len(list) == 0 && err == nil {
		a.out.WriteString("nothing to do: no creation of ours was cut short\n")
	}
	return exitStatus(status)
}

// gcText describes one creation that was cut short.
func gcText(l *domains.Leftover, dry bool) string {
	if l.PID == 0 {
		return "a creation ended before it made anything\n"
	}
	text := fmt.Sprintf("%s (%s): process %d ended while it created this guest\n", l.Name, l.UUID, l.PID)
	switch {
	case l.Kept != "":
		return text + fmt.Sprintf("  kept: domain %d, %s\n", l.Dom, l.Kept)
	case len(l.Found) == 0 && l.Err == nil:
		return text + "  nothing is left of it\n"
	}
	what := "removed"
	switch {
	case dry:
		what = "would remove"
	case l.Err != nil:
		what = "found"
	}
	for _, f := range l.Found {
		text += fmt.Sprintf("  %s: %s\n", what, f)
	}
	return text
}
