package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"goxl/migrate"
	"goxl/xenctrl/abi"
)

// migrateReceiveCommand is "xl migrate-receive", which the sender calls. Its
// standard output belongs to the protocol.
func migrateReceiveCommand(a *app) *cli.Command {
	c := &creating{}
	var remus bool
	return a.new("migrate-receive", body{
		table: optionTable{"Fedrp", []longOption{
			{"colo", false, coloLetter}, {"coloft-script", true, coloLetter}, {"userspace-colo-proxy", false, coloLetter},
		}},
		opt: func(letter byte, arg string) error {
			if letter == 'r' || letter == coloLetter {
				remus = true
			}
			return c.option(letter, arg)
		},
		run: func(ctx context.Context, args []string) error {
			if len(args) > 0 {
				a.out.WriteString(helpCommand(a.release, "migrate-receive"))
				return exitStatus(1)
			}
			if remus {
				return failf(fmt.Errorf("checkpointed guests (Remus, COLO): %w", errors.ErrUnsupported), "migration target: Domain creation failed (code -4).")
			}
			return a.receive(ctx, c)
		},
	})
}

const coloLetter = 0x80

// receive takes a guest from standard input.
func (a *app) receive(ctx context.Context, c *creating) error {
	signal.Ignore(unix.SIGPIPE) // a sender that is gone is an error to handle
	say := func(s string) { fmt.Fprintln(a.env.stderr, s) }
	id, err := migrate.Receive(ctx, a.host.domains, stdio{os.Stdin, os.Stdout}, migrate.ReceiveOptions{
		Paused: c.paused, Say: say,
		Header: func(in *migrate.Incoming) error {
			a.showSaved("<incoming migration stream>", in)
			return a.chooseConfig(c, in)
		},
		Own: func(ctx context.Context, id abi.DomID) error { return a.follow(ctx, c, id) },
	})
	if err != nil && id == 0 {
		return failf(err, "migration target: Domain creation failed (code %d).", -3)
	}
	return err
}

// stdio is what the sender's command connects.
type stdio struct {
	io.Reader
	io.Writer
}
