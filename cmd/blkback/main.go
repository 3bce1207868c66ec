// Command blkback serves the disks of Xen's guests that the toolstack leaves to it:
// those with "backendtype=qdisk", or an image format, of guests that need no QEMU.
//
// It ends with SIGTERM and leaves its guests connected: the next blkback goes on where
// this one was, also after SIGKILL. See docs/backends.md, Disks.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"goxl/backends"
	"goxl/blkback"
	"goxl/blkback/disk"
	"goxl/blkback/mirror"
	"goxl/cmd/internal/daemon"
	"goxl/domains/logs"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// options are what the command line says.
type options struct {
	blkback.Options
	policy         string // file
	stats, verbose bool
}

func parseOptions(args []string, stderr io.Writer) (o options, err error) {
	f := flag.NewFlagSet("blkback", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprintln(stderr, "Usage: blkback [options]\nServes the disks of this domain's guests, until SIGTERM.")
		f.PrintDefaults()
	}
	f.IntVar(&o.Queues, "max-queues", 0, "most `queues` of a disk (default 4)")
	f.IntVar(&o.Workers, "workers", 0, "most `requests` of a queue that the host does at a time (default 8)")
	f.IntVar(&o.Memory, "queue-memory", 0, "most `bytes` of data that a queue has under way (default 16 MiB)")
	f.BoolVar(&o.Buffered, "buffered", false, "go through the host's page cache")
	f.Func("backing-dir", "a `folder` whose files images may have as backing files; may be repeated", func(dir string) error {
		if !filepath.IsAbs(dir) {
			return errors.New("no whole path")
		}
		o.Backing.Dirs = append(o.Backing.Dirs, filepath.Clean(dir))
		return nil
	})
	f.StringVar(&o.Dir, "state-dir", blkback.DefaultDir, "`folder` of what the next blkback must know; ours alone, and gone with the host")
	f.StringVar(&o.policy, "policy", defaultPolicy, "`file` of limits of disks and what a full file system means; read again at SIGHUP")
	f.BoolVar(&o.stats, "stats", false, "print what the running blkback has counted, as JSON, and exit")
	f.BoolVar(&o.verbose, "v", false, "log every step")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("blkback takes no arguments, and was given %q", strings.Join(f.Args(), " "))
	}
	for name, path := range map[string]string{"state-dir": o.Dir, "policy": o.policy} {
		if !filepath.IsAbs(path) {
			return o, fmt.Errorf("--%s=%s is no whole path", name, path)
		}
	}
	return o, nil
}

// run is the program; it returns its exit status.
func run(args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "blkback:", err)
		return 2
	}
	o.Log = daemon.Logger(o.verbose)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if o.stats {
		err = printStats(ctx, o.Dir, stdout)
	} else {
		err = serve(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(stderr, "blkback:", err)
		return 1
	}
	return 0
}

// serve does the daemon's work until ctx ends.
func serve(ctx context.Context, o options) (err error) {
	if o.Rules, err = readPolicy(o.policy); err != nil {
		return err
	}
	driver, err := blkback.NewDriver(o.Options)
	if err != nil {
		return err
	}
	defer followPolicy(ctx, o, driver)()
	lock, err := takeLock(ctx, filepath.Join(o.Dir, "lock"), o.Log)
	if err != nil {
		return err
	}
	defer lock.Close() // with the process, if not here
	store, err := daemon.Dial(ctx, o.Log)
	if err != nil {
		return err
	}
	defer store.Close()
	self, err := backends.Self(ctx, store)
	if err != nil {
		return err
	}
	if err := driver.Sweep(ctx, store, self); err != nil {
		o.Log.Warn("journals of guests that are gone stay", logs.Error(err))
	}
	stop, err := serveStats(filepath.Join(o.Dir, statsSocket), driver)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	unmirror, err := mirror.Serve(o.Dir, driver, o.Log)
	if err != nil {
		return err
	}
	defer unmirror()
	if err := announce(lock, disk.Formats()); err != nil {
		return err
	}
	m := backends.New(backends.Options{Store: store, Xen: backends.Host(), Kind: blkback.Kind, FrontKind: blkback.FrontKind,
		Self: self, Driver: driver, Log: o.Log})
	o.Log.Info("serving disks", logs.Uint16("domain", uint16(self)))
	return daemon.Run(ctx, o.Log, m.Run)
}
