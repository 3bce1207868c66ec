package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/domains/logs"
	"goxl/domains/supervise"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// superviseVerb is how the supervisor is called: this program, with a verb that
// no help mentions.
const superviseVerb = "goxl-supervise"

// follow sees to it that somebody does what the configuration says for the end of
// guest id: nobody, this process, or the host's supervisor, which is started when
// there is none.
func (a *app) follow(ctx context.Context, c *creating, id abi.DomID) error {
	dir := a.host.domains.Paths().Own
	return a.register(ctx, c, id, func() error { return a.env.supervise(dir) })
}

// register is follow, with a supervisor that start starts; with nil somebody has to
// call wakeSupervisor.
func (a *app) register(ctx context.Context, c *creating, id abi.DomID, start func() error) error {
	if c.unwatched || a.env.supervise == nil {
		return nil
	}
	rec, err := supervise.NewRecord(ctx, a.host.domains, id)
	if err != nil {
		return createFailure(err)
	}
	if c.stay {
		return createFailure(supervise.Follow(ctx, a.superviseOptions(), rec, a.env.stderr))
	}
	if err := supervise.Register(ctx, a.host.domains.Paths().Own, rec, start); err != nil {
		return createFailure(fmt.Errorf("guest %d runs, but nobody will follow its end: %w", id, err))
	}
	return nil
}

// wakeSupervisor starts the host's supervisor when it was killed and guests need
// it. No command fails because of that; what went wrong is told on stderr.
func (a *app) wakeSupervisor(ctx context.Context, verb string) {
	if verb == superviseVerb || a.globals.dryRun || a.env.supervise == nil {
		return
	}
	dir := a.host.domains.Paths().Own
	if err := supervise.Wake(ctx, dir, func() error { return a.env.supervise(dir) }); err != nil {
		fmt.Fprintf(a.env.stderr, "warning: %v\n", err)
	}
}

// spawnSupervisor starts this program as the supervisor with its state in dir.
func spawnSupervisor(dir string) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(dir+"/supervisor.log", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	return supervise.Spawn(exe, []string{superviseVerb}, log)
}

func (a *app) superviseOptions() supervise.Options {
	return supervise.Options{
		Manager: a.host.domains, Dir: a.host.domains.Paths().Own,
		Logger: newLogger(globals{verbosity: 1, timestamps: true}),
		ParseUpdate: func(text []byte) (*config.Spec, error) {
			return a.parseConfig("<updated>", text, nil, false)
		},
	}
}

// superviseCommand is the supervisor itself. It ends when no guest needs it. Losing
// xenstore for a while does not end it: it has a connection of its own, which is
// made again.
func superviseCommand(a *app) *command {
	return a.new(superviseVerb, body{run: func(ctx context.Context, args []string) (err error) {
		ctx, stop := interruptible(ctx)
		defer stop()
		o := a.superviseOptions()
		store, err := xenstore.Dial(ctx, xenstore.WithWait(), xenstore.WithReconnect(func(why error) {
			if why != nil {
				o.Logger.Warn("the connection to xenstore was lost", logs.Error(why))
			} else {
				o.Logger.Info("connected to xenstore again")
			}
		}))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, store.Close()) }()
		o.Manager, err = domains.Open(ctx, domains.Options{Logger: o.Logger, Conf: a.host.conf, Xen: a.host.xen, Store: store, Host: a.host.files})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, o.Manager.Close()) }()
		if err := supervise.Run(ctx, o); !errors.Is(err, supervise.ErrRunning) {
			return err
		}
		return nil // two commands started one at the same time
	}})
}
