package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"goxl/backends"
	"goxl/cmd/internal/background"
	"goxl/cmd/internal/daemon"
	"goxl/domains/devd"
	"goxl/domains/device"
	files "goxl/domains/host"
	"goxl/domains/logs"
	"goxl/xenstore"
)

const (
	devdVerb = "devd"
	devdLog  = "xldevd" // in the folder of logs
	devdLock = "/run/goxl/devd/lock"
)

// devdCommand is "xl devd [-F] [-p FILE]", the hotplug daemon of a driver domain.
func devdCommand(a *app) *command {
	foreground, pidFile := false, ""
	return a.new(devdVerb, body{
		table: optionTable{"Fp:", []longOption{{"pidfile", true, 'p'}}},
		opt: func(letter byte, arg string) error {
			if letter == 'F' {
				foreground = true
			} else {
				pidFile = arg
			}
			return nil
		},
		run: func(ctx context.Context, args []string) error {
			ctx, stop := interruptible(ctx)
			defer stop()
			d := hotplugDaemon{
				host: files.New(files.DefaultPaths()), dial: daemon.Dial, lock: devdLock,
				log: daemon.Logger(a.globals.verbosity > 0), ready: func() {},
			}
			if foreground {
				return d.run(ctx)
			}
			if !background.Is() {
				return startDevd(d.host, d.lock)
			}
			d.pidFile, d.ready = pidFile, func() { background.Report(nil) }
			err := d.run(ctx)
			background.Report(err) // unless it did work
			return err
		},
	})
}

// startDevd starts the daemon in the background, with its log where libxl's has it. One
// that runs already keeps its log.
func startDevd(h *files.Host, lock string) error {
	l, err := daemon.Lock(lock, "xl devd")
	if err != nil {
		return err
	}
	if err := l.Close(); err != nil {
		return err
	}
	if err := h.MkdirAll(h.Log, 0o755); err != nil {
		return fmt.Errorf("log of devd: %w", err)
	}
	log, err := h.OpenLog(devdLog)
	if err != nil {
		return fmt.Errorf("log of devd: %w", err)
	}
	return errors.Join(background.Start(log), log.Close())
}

// hotplugDaemon is the work of xl devd. It opens no control interface of Xen, which
// the kernel of a driver domain may deny, and xenstore through dial.
type hotplugDaemon struct {
	host    *files.Host
	dial    func(context.Context, *logs.Logger) (*xenstore.Client, error)
	lock    string // path
	pidFile string // "": none
	log     *logs.Logger
	ready   func() // called once it works
}

// run does the daemon's work until ctx ends.
func (d *hotplugDaemon) run(ctx context.Context) (err error) {
	store, err := d.dial(ctx, d.log)
	if err != nil {
		return &noHost{"xenstore", "connect to xenstore", err, "in a driver domain that is /dev/xen/xenbus, of its kernel"}
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	self, err := backends.Self(ctx, store)
	if err != nil {
		return err
	}
	if self == 0 { // before anything is made
		return devd.ErrToolstack
	}
	lock, err := daemon.Lock(d.lock, "xl devd")
	if err != nil {
		return err
	}
	defer lock.Close()
	if d.pidFile != "" {
		if err := writePID(d.pidFile); err != nil {
			return err
		}
		defer os.Remove(d.pidFile)
	}
	if err := trustMissing(d.host); err != nil {
		return err
	}
	set := device.New(device.Options{Store: store, Host: d.host, Self: self, Log: d.log})
	d.log.Info("looking after the devices that this domain serves", logs.Uint16("domain", uint16(self)))
	return daemon.Run(ctx, d.log, func(ctx context.Context) error {
		return devd.Run(ctx, devd.Options{Store: store, Devices: set, Ready: d.ready, Log: d.log})
	})
}

// trustMissing has goxl do the work of those of Xen's usual hotplug scripts that are
// not installed here, so that a driver domain needs nothing of Xen's tools. A script
// that is there is run, or done natively if it is the distribution's.
func trustMissing(h *files.Host) error {
	for name, what := range map[string]files.Behaviour{
		"block":      {Block: true},
		"vif-bridge": {Bridge: true, FrontendMTU: true},
	} {
		path := filepath.Join(h.Scripts, name)
		_, err := h.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			h.Trust(path, what)
		case err != nil:
			return err
		}
	}
	return nil
}

// writePID writes our number to path, as libxl's daemon does.
func writePID(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("pid file: %w", err)
	}
	_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("pid file: %w", err)
	}
	return nil
}
