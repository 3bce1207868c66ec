package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"goxl/migrate"
	"goxl/xenctrl/abi"
)

// migrateReceiveCommand is "xl migrate-receive", which the sender calls. Its
// standard output belongs to the protocol.
func migrateReceiveCommand(a *app) *command {
	c := &creating{}
	var remus, asked bool
	var way directWay
	return a.new("migrate-receive", body{
		table: optionTable{"Fedrp", []longOption{
			{"colo", false, coloLetter}, {"coloft-script", true, coloLetter}, {"userspace-colo-proxy", false, coloLetter},
			{"offer", false, offerLetter},
			{"listen", true, listenLetter},
			{"tls-ca", true, tlsCALetter}, {"tls-cert", true, tlsCertLetter}, {"tls-key", true, tlsKeyLetter},
		}},
		opt: func(letter byte, arg string) error {
			if letter == 'r' || letter == coloLetter {
				remus = true
			}
			if letter == offerLetter {
				asked = true
				return nil
			}
			if letter > ownLetter {
				return way.option(letter, arg)
			}
			return c.option(letter, arg)
		},
		run: func(ctx context.Context, args []string) error {
			if len(args) > 0 {
				a.out.WriteString(helpCommand(a.release, "migrate-receive"))
				return exitStatus(1)
			}
			if asked {
				return a.answerOffer(ctx)
			}
			if remus {
				return failf(fmt.Errorf("checkpointed guests (Remus, COLO): %w", errors.ErrUnsupported), "migration target: Domain creation failed (code -4).")
			}
			return a.receive(ctx, c, &way)
		},
	})
}

const (
	coloLetter  = 0x80
	offerLetter = ownLetter
)

// receive takes a guest from standard input.
func (a *app) receive(ctx context.Context, c *creating, way *directWay) error {
	signal.Ignore(unix.SIGPIPE) // a sender that is gone is an error to handle
	say := func(s string) { fmt.Fprintln(a.env.stderr, s) }
	direct, err := way.receiving(os.Getenv("SSH_CONNECTION"))
	if err != nil {
		return err
	}
	var uuid string
	id, err := migrate.Receive(ctx, a.host.domains, stdio{os.Stdin, os.Stdout}, migrate.ReceiveOptions{
		Paused: c.paused, Say: say, Direct: direct,
		Header: func(in *migrate.Incoming) error {
			a.showSaved("<incoming migration stream>", in)
			if err := a.chooseConfig(c, in); err != nil {
				return err
			}
			uuid = in.Spec.CInfo.UUID.String()
			return a.journal().Comes(uuid)
		},
		Own: func(ctx context.Context, id abi.DomID) error {
			if err := a.journal().Starts(uuid); err != nil {
				return err
			}
			return a.register(ctx, c, id, nil)
		},
		Runs: func(ctx context.Context, id abi.DomID) {
			a.wakeSupervisor(ctx, "")
			a.warnOfConsole(ctx, id)
		},
	})
	if err != nil && id != 0 {
		if _, lost := a.host.domains.Info(context.WithoutCancel(ctx), id); isNoDomain(lost) {
			err = errors.Join(err, a.journal().Comes(uuid)) // it was given back, and never ran
		}
	}
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
