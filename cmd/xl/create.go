package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/migrate"
	"goxl/xenctrl/abi"
)

// creating is what the command line of "xl create" asks for.
type creating struct {
	file      string   // the configuration; "" when none was named
	overrides []string // key=value, each a line after the file
	console   bool     // -c
	debug     bool     // -d
	unwatched bool     // -e: nobody follows the guest's end
	stay      bool     // -F: follow it here, in the foreground
	noMasks   bool     // --ignore-global-affinity-masks
	dryRun    bool     // -n or the global -N
	paused    bool     // -p
	quiet     bool     // -q
	vnc       bool     // -V
	vncPass   bool     // -A
	timeline  bool     // --timeline: say how long each step took

	incoming *migrate.Incoming // the guest was saved: it goes on
}

// timelineLetter stands for a long option of ours.
const timelineLetter = ownLetter

// createCommand is "xl create <ConfigFile> [options] [vars]".
func createCommand(a *app) *command {
	c := &creating{dryRun: a.globals.dryRun}
	b := body{
		table: optionTable{"AFVcdef:inpq", []longOption{
			{"defconfig", true, 'f'}, {"dryrun", false, 'n'},
			{"ignore-global-affinity-masks", false, 'i'}, {"quiet", false, 'q'},
			{"vncviewer", false, 'V'}, {"vncviewer-autopass", false, 'A'},
			{"timeline", false, timelineLetter},
		}},
		opt: c.option,
		run: func(ctx context.Context, args []string) error {
			if !c.arguments(args) {
				a.out.WriteString(helpCommand(a.release, "create"))
				return exitStatus(2)
			}
			return a.create(ctx, c)
		},
	}
	return a.new("create", b.afterFile(&c.file))
}

// afterFile has a command take a file name as its first argument, before its
// options.
func (b body) afterFile(file *string) body {
	b.first = func(args []string) []string {
		if len(args) > 0 && !strings.HasPrefix(args[0], "-") && !strings.Contains(args[0], "=") {
			*file = args[0]
			return args[1:]
		}
		return args
	}
	return b
}

func (c *creating) option(letter byte, arg string) error {
	switch letter {
	case 'A':
		c.vnc, c.vncPass = true, true
	case 'F':
		c.stay = true
	case 'V':
		c.vnc = true
	case 'c':
		c.console = true
	case 'd':
		c.debug = true
	case 'e':
		c.unwatched = true
	case 'f':
		c.file = arg
	case 'i':
		c.noMasks = true
	case 'n':
		c.dryRun = true
	case 'p':
		c.paused = true
	case 'q':
		c.quiet = true
	case timelineLetter:
		c.timeline = true
	}
	return nil
}

// arguments takes what stands after the options: assignments, and the file if it
// was not named yet. It reports false when there is one argument too many.
func (c *creating) arguments(args []string) bool {
	for _, arg := range args {
		switch {
		case strings.Contains(arg, "="):
			c.overrides = append(c.overrides, arg)
		case c.file == "":
			c.file = arg
		default:
			return false
		}
	}
	return true
}

// create makes the guest, or only shows its configuration.
func (a *app) create(ctx context.Context, c *creating) error {
	spec, err := a.readConfig(c)
	if err != nil {
		return err
	}
	if c.debug || c.dryRun {
		if err := a.showConfig(spec, c.debug && !c.dryRun); err != nil || c.dryRun {
			return err
		}
	}
	return a.start(ctx, c, spec)
}

// readConfig reads and parses the configuration.
func (a *app) readConfig(c *creating) (*config.Spec, error) {
	if c.file == "" {
		return nil, &failure{status: 6, text: "Config file not specified and none in save file"}
	}
	var src []byte
	if c.file != "/dev/null" { // which stands for "the command line says it all"
		var err error
		if src, err = os.ReadFile(c.file); err != nil {
			return nil, &failure{status: 3, text: fmt.Sprintf("Failed to read config file: %s: %s", c.file, strerror(err)),
				cause: &noFile{err}}
		}
	}
	if !c.quiet {
		fmt.Fprintf(a.env.stderr, "Parsing config from %s\n", c.file)
	}
	return a.parseConfig(c.file, src, c.overrides, !c.noMasks)
}

// parseConfig parses a configuration, passes its warnings on and, if masks is
// set, restricts its CPUs to what xl.conf allows.
func (a *app) parseConfig(name string, src []byte, overrides []string, masks bool) (*config.Spec, error) {
	opts, err := a.host.parseOptions(string(src), overrides)
	if err != nil {
		return nil, err
	}
	opts.Rand = rand.Reader
	spec, warnings, err := config.Parse(name, src, opts)
	a.warn(warnings)
	if err != nil {
		return nil, configFailure(err)
	}
	if masks {
		err = configFailure(a.host.conf.ApplyCPUMasks(spec, opts.Host))
	}
	return spec, err
}

// start makes the guest and sees to what follows.
func (a *app) start(ctx context.Context, c *creating, spec *config.Spec) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	o := domains.CreateOptions{Paused: c.paused}
	if c.timeline {
		o.Timeline = domains.NewTimeline()
		defer func() { fmt.Fprint(a.env.stderr, timelineText(o.Timeline.Steps(), o.Timeline.Total())) }()
	}
	var console *autoConsole
	if c.console {
		console = a.autoConsole(ctx)
		o.Paused, o.ConsoleReady = true, console.start
	}
	if c.incoming != nil {
		if c.incoming.Progress == nil {
			c.incoming.Progress = a.receiveProgress()
		}
		o.Source = c.incoming
	}
	id, err := a.host.domains.Create(ctx, spec, o)
	if err != nil {
		console.stop()
		return createFailure(err)
	}
	if console != nil {
		console.awaitReady()
		if !c.paused {
			if err := a.host.domains.Unpause(ctx, id); err != nil {
				a.rep.report(&failure{cause: err})
			}
		}
	}
	if c.vnc && (c.stay || !c.unwatched) {
		a.viewLater(id, c.vncPass)
	}
	end := o.Timeline.Step("hand over to the supervisor")
	if err := a.follow(ctx, c, id); err != nil {
		return err
	}
	end()
	if c.incoming != nil && console == nil {
		end := o.Timeline.Step("await console")
		a.warnOfConsole(ctx, id)
		end()
	}
	return console.wait()
}

// warnOfConsole waits for the console of a guest that runs already.
func (a *app) warnOfConsole(ctx context.Context, id abi.DomID) {
	if err := a.host.domains.AwaitConsole(ctx, id); err != nil {
		fmt.Fprintf(a.env.stderr, "warning: %v\n", err)
	}
}

// createFailure is how xl ends when it cannot create a guest: with libxl's number
// as its status.
func createFailure(err error) error {
	if err == nil {
		return nil
	}
	f := &failure{status: -domains.RCOf(err), cause: err}
	if domains.CodeOf(err) == string(domains.NoMemory) {
		f.text = "failed to free memory for the domain"
	}
	return f
}

// noFile is a file that a command line names and that cannot be read.
type noFile struct{ err error }

func (e *noFile) Error() string { return e.err.Error() + " (is the path right, from this directory?)" }
func (e *noFile) Unwrap() error { return e.err }
func (e *noFile) Code() string  { return string(domains.NoFile) }
