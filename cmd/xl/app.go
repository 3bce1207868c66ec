package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// surroundings is what a run of xl takes from the outside; tests put a fake host
// here.
type surroundings struct {
	stdout, stderr io.Writer
	// release tells which xl to be before Xen was opened, for the bare help.
	release func() release
	// connect opens Xen and xenstore. The host's release is known from then on.
	connect func(context.Context) (*host, error)
	conf    string // path of xl.conf
	// supervise starts a supervisor that keeps its state in dir. Nil: there is
	// nothing to follow the ends of guests.
	supervise func(dir string) error
	// begin, if set, is told the command before anything is done for it.
	begin func(verb string)
}

// app is one run of xl.
type app struct {
	env     surroundings
	globals globals
	release release
	out     *bufio.Writer // results; flushed at the end and before waiting
	rep     reporter
	host    *host
}

// run executes one command line, whose first element is the program's name, and
// returns the exit status.
func run(ctx context.Context, args []string, env surroundings) int {
	a := &app{env: env, out: bufio.NewWriter(env.stdout), rep: reporter{w: env.stderr}}
	status := a.main(ctx, args)
	if err := a.out.Flush(); err != nil {
		fmt.Fprintf(env.stderr, "stdout: %v\n", err)
		status = 1
	}
	if a.globals.stats && a.host != nil {
		fmt.Fprint(env.stderr, a.host.stats())
	}
	if a.host != nil {
		a.host.close()
	}
	return status
}

// main keeps the genuine xl's order of checks: options, a command at all, Xen,
// xl.conf, the command's name. What needs no Xen comes before it.
func (a *app) main(ctx context.Context, args []string) int {
	g, rest, ok := parseGlobals(args, a.env.release, a.env.stderr)
	if !ok {
		return 1
	}
	a.globals, a.rep.json = g, g.jsonErrors
	if len(rest) == 0 {
		a.out.WriteString(helpList(a.env.release()))
		return 1
	}
	if a.env.begin != nil {
		a.env.begin(rest[0])
	}
	if a.needsNoHost(rest[0]) {
		a.release = a.env.release()
		return a.rep.report(a.dispatch(ctx, rest))
	}
	h, err := a.env.connect(ctx)
	if err != nil {
		return a.rep.report(failf(err, "cannot init xl context"))
	}
	a.host, a.release = h, h.release
	if err := a.readConf(); err != nil {
		return a.rep.report(err)
	}
	if err := h.manage(ctx, g); err != nil {
		return a.rep.report(failf(err, "cannot init xl context"))
	}
	a.wakeSupervisor(ctx, rest[0])
	a.endThrottles(ctx)
	return a.rep.report(a.dispatch(ctx, rest))
}

// needsNoHost reports whether a command does without Xen's control interface: verbs of
// our own that only read files, and devd, which a driver domain's kernel may not let
// open it.
func (a *app) needsNoHost(name string) bool {
	if v := findOwnVerb(name); v != nil && v.offline {
		return true
	}
	if !strings.HasPrefix(devdVerb, name) {
		return false // the release is not looked for in vain
	}
	e := lookup(a.env.release(), name)
	return e != nil && e.name == devdVerb
}

// dispatch finds the command and runs it on the arguments as they are: the
// genuine rules for options are the scanner's.
func (a *app) dispatch(ctx context.Context, args []string) error {
	cmd, err := a.find(args)
	if err != nil || cmd == nil {
		return err
	}
	return cmd.run(ctx, args[1:])
}

// find returns the command that args start with; nil when there is nothing left
// to do.
func (a *app) find(args []string) (*command, error) {
	if e := lookup(a.release, args[0]); e != nil {
		if a.globals.dryRun && !e.dryRun {
			return nil, failf(nil, "command does not implement -N (dryrun) option")
		}
		if c := a.command(e.name); c != nil {
			return c, nil
		}
		return a.later(e.name), nil
	}
	if c := a.ownCommand(args[0]); c != nil {
		return c, nil
	}
	if args[0] != "help" {
		return nil, failf(nil, "command not implemented")
	}
	if len(args) > 1 && args[1] != "help" {
		a.out.WriteString(helpCommand(a.release, args[1]))
	} else {
		a.out.WriteString(helpList(a.release))
	}
	return nil, nil
}

// later is a command that is not done: only its help is there.
func (a *app) later(name string) *command {
	return a.new(name, body{
		first: func(args []string) []string {
			if len(args) > 0 && (args[0] == "-h" || args[0] == "--help") {
				return args[:1]
			}
			return nil
		},
		run: func(context.Context, []string) error {
			return &failure{status: 1, cause: &notYet{name}}
		},
	})
}

// notYet says that goxl knows the command and cannot do it so far.
type notYet struct{ name string }

func (e *notYet) Error() string        { return e.name + ": not implemented yet" }
func (e *notYet) Code() string         { return "not-implemented" }
func (e *notYet) Is(target error) bool { return target == errors.ErrUnsupported }

// body is what a command does with its options and arguments; the letters of
// the options are handed to opt one by one, in order, before.
type body struct {
	table optionTable
	min   int // arguments it needs
	// first, if set, takes what may stand before the options and returns the rest.
	first func(args []string) []string
	opt   func(letter byte, arg string) error // nil when it has no options
	run   func(ctx context.Context, args []string) error
}

// command is a verb, ready to be given what stands behind it. It is no cli.Command:
// cli would only call run, and its templates and expressions are a third of what a
// short command spends on starting (docs/speed.md).
type command struct {
	run func(ctx context.Context, args []string) error
}

// new is a command that reads its options, then does what b says.
func (a *app) new(name string, b body) *command {
	return &command{run: func(ctx context.Context, args []string) error {
		args, err := a.options(name, &b, args)
		if err != nil {
			return err
		}
		return b.run(ctx, args)
	}}
}

// options goes through a command's options and checks the number of arguments
// left; mistakes end with status 2, help with 0.
func (a *app) options(name string, b *body, args []string) ([]string, error) {
	if b.first != nil {
		args = b.first(args)
	}
	s := scanner{table: &b.table, args: args}
	for {
		letter, arg, done, err := s.next()
		var bad *optionError
		switch {
		case errors.Is(err, errHelp):
			a.out.WriteString(helpCommand(a.release, name))
			return nil, exitStatus(0)
		case errors.As(err, &bad):
			return nil, &failure{status: 2, text: fmt.Sprintf("option `%c' not supported.", bad.letter)}
		case done:
			return a.enough(name, b.min, s.rest())
		}
		if err := b.opt(letter, arg); err != nil {
			return nil, err
		}
	}
}

// enough checks that there are at least min arguments.
func (a *app) enough(name string, min int, args []string) ([]string, error) {
	if len(args) >= min {
		return args, nil
	}
	plural := ""
	if min > 1 {
		plural = "s"
	}
	a.out.WriteString(helpCommand(a.release, name))
	return nil, &failure{status: 2,
		text: fmt.Sprintf("'xl %s' requires at least %d argument%s.\n", name, min, plural)}
}
