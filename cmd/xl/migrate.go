package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"goxl/migrate"
)

// migrating is what the command line of "xl migrate" asks for.
type migrating struct {
	config    string // -C: instead of the stored configuration
	ssh       string // -s
	unwatched bool   // -e: nobody follows the guest's end there
	paused    bool   // -p: leave it paused there
	debug     bool   // --debug
	keepID    bool   // -D
	live      migrate.Live
}

// migrateCommand is "xl migrate [options] <Domain> <host>".
func migrateCommand(a *app) *cli.Command {
	o := &migrating{ssh: "ssh"}
	return a.new("migrate", body{
		table: optionTable{"FC:s:epD", []longOption{
			{"debug", false, debugLetter}, {"live", false, liveLetter},
			{"max-downtime", true, downtimeLetter}, {"max-rounds", true, roundsLetter},
		}},
		min: 2,
		opt: o.option,
		run: func(ctx context.Context, args []string) error {
			id, err := a.domain(ctx, args[0])
			if err != nil {
				return err
			}
			send := migrate.SendOptions{Say: func(s string) { fmt.Fprintln(a.env.stderr, s) }}
			send.KeepDomID, send.Live = o.keepID, &o.live
			send.Progress = a.transferProgress()
			if o.config != "" {
				if send.Config, err = a.readOverride(o.config); err != nil {
					return err
				}
			}
			ctx, stop := interruptible(ctx)
			defer stop()
			peer, err := callPeer(o.command(a.globals, isTerminal(os.Stderr), args[1]))
			if err != nil {
				return err
			}
			outcome, err := migrate.Send(ctx, a.host.domains, id, peer, send)
			return a.migrated(outcome, errors.Join(err, peer.hangUp(outcome)))
		},
	})
}

// Letters that stand for long options without one.
const (
	debugLetter = 0x80 + iota
	liveLetter

	downtimeLetter = ownLetter + iota
	roundsLetter
)

func (o *migrating) option(letter byte, arg string) error {
	switch letter {
	case 'C':
		o.config = arg
	case 's':
		o.ssh = arg
	case 'e':
		o.unwatched = true
	case 'p':
		o.paused = true
	case 'D':
		o.keepID = true
	case debugLetter:
		o.debug = true
	case downtimeLetter:
		ms, err := strconv.ParseUint(arg, 10, 31)
		if err != nil || ms == 0 {
			return saidf(err, "--max-downtime=%s: it takes a number of milliseconds, 1 or more", arg)
		}
		o.live.MaxDowntime = time.Duration(ms) * time.Millisecond
	case roundsLetter:
		n, err := strconv.ParseUint(arg, 10, 16)
		if err != nil || n == 0 {
			return saidf(err, "--max-rounds=%s: it takes a number of rounds, 1 or more", arg)
		}
		o.live.MaxRounds = int(n)
	}
	return nil // -F and --live are accepted and change nothing
}

// command is the shell command that reaches a receiver on host. With an empty ssh
// command, host is the command itself.
func (o *migrating) command(g globals, terminal bool, host string) string {
	if o.ssh == "" {
		return host
	}
	c := "exec " + o.ssh + " " + host + " xl"
	if g.progressCR || terminal {
		c += " -t"
	}
	if g.timestamps {
		c += " -T"
	}
	if g.verbosity > 0 {
		c += " -" + strings.Repeat("v", g.verbosity)
	}
	c += " migrate-receive"
	for _, f := range []struct {
		on   bool
		text string
	}{{o.unwatched, " -e"}, {o.debug, " -d"}, {o.paused, " -p"}} {
		if f.on {
			c += f.text
		}
	}
	return c
}

// migrated says how it ended.
func (a *app) migrated(outcome migrate.Outcome, err error) error {
	switch outcome {
	case migrate.Moved:
		if err != nil {
			a.rep.report(&failure{cause: err})
		}
		fmt.Fprintln(a.env.stderr, "Migration successful.")
		return nil
	case migrate.NotBegun:
		return err
	case migrate.StayedHere:
		return failf(err, "Migration failed, resuming at sender.")
	case migrate.NotResumed:
		return failf(err, "Migration failed, and the guest could not be resumed here: it is suspended, look at it with xl list.")
	}
	return failf(err, "** Migration failed during final handshake **\n"+
		"Domain state is now undefined !\n"+
		"Please CHECK AT BOTH ENDS for running instances, before renaming and\n"+
		" resuming at most one instance.  Two simultaneous instances of the domain\n"+
		" would probably result in SEVERE DATA LOSS and it is now your\n"+
		" responsibility to avoid that.  Sorry.")
}

// peer is the command that reaches the receiver, and the way to it.
type peer struct {
	io.WriteCloser
	io.Reader
	cmd *exec.Cmd
}

// callPeer starts a shell command. It shares our terminal: ssh may ask for a
// password.
func callPeer(command string) (*peer, error) {
	cmd := exec.Command("sh", "-c", command)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %q: %w", command, err)
	}
	return &peer{in, out, cmd}, nil
}

// partingTime is how long the receiver's command may take to end by itself.
const partingTime = 10 * time.Second

// hangUp ends the connection. How the command exits matters only when it may be
// why the migration failed.
func (p *peer) hangUp(outcome migrate.Outcome) error {
	p.Close()
	kill := time.AfterFunc(partingTime, func() { p.cmd.Process.Kill() })
	defer kill.Stop()
	err := p.cmd.Wait()
	if err == nil || outcome == migrate.Moved {
		return nil
	}
	return fmt.Errorf("the receiver's command ended with %w", err)
}
