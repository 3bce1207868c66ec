// Command netback serves the network interfaces of Xen's guests in place of the
// kernel's xen-netback, which must not be loaded in this domain.
//
// It ends with SIGTERM and leaves its guests connected: the next netback goes on
// where this one was, also after SIGKILL. See docs/backends.md, Network.
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
	"goxl/cmd/internal/daemon"
	"goxl/domains/logs"
	"goxl/netback"
	"goxl/xenstore"
)

// defaultState is where a restarted daemon finds what it must know of its guests. It
// must not outlive the host: the guests do not either.
const defaultState = "/run/goxl/netback"

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

// options are what the command line says.
type options struct {
	netback.Options
	verbose bool
}

func parseOptions(args []string, stderr io.Writer) (o options, err error) {
	f := flag.NewFlagSet("netback", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprintln(stderr, "Usage: netback [options]\nServes the vifs of this domain's guests, until SIGTERM.")
		f.PrintDefaults()
	}
	antispoof := f.String("antispoof", string(netback.AntispoofOff),
		"what guests may send: `off`, mac (from their own MAC address) or ip (and from the addresses in ip=, where set)")
	f.IntVar(&o.MaxQueues, "max-queues", 0, "most `queues` of a vif; 0: one for each processor, up to four")
	f.StringVar(&o.StateDir, "state-dir", defaultState, "`folder` of what the next netback must know; ours alone")
	f.BoolVar(&o.verbose, "v", false, "log every step")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.Antispoof = netback.Antispoof(*antispoof)
	if f.NArg() > 0 {
		return o, fmt.Errorf("netback takes no arguments, and was given %q", strings.Join(f.Args(), " "))
	}
	if !filepath.IsAbs(o.StateDir) {
		return o, fmt.Errorf("--state-dir=%s is no whole path", o.StateDir)
	}
	return o, nil
}

// run is the program; it returns its exit status.
func run(args []string, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "netback:", err)
		return 2
	}
	o.Log = daemon.Logger(o.verbose)
	o.Threads = newProcessors()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := serve(ctx, o.Options); err != nil {
		fmt.Fprintln(stderr, "netback:", err)
		return 1
	}
	return 0
}

// serve does the daemon's work until ctx ends.
func serve(ctx context.Context, o netback.Options) error {
	driver, err := netback.New(o)
	if err != nil {
		return err
	}
	lock, err := daemon.Lock(filepath.Join(o.StateDir, "lock"), "netback")
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
	err = driver.Sweep(func(id backends.ID) (bool, error) {
		_, err := store.Read(ctx, backends.BackPath(self, "vif", id)+"/frontend-id")
		if errors.Is(err, xenstore.ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		o.Log.Warn("what is left of earlier vifs stays", logs.Error(err))
	}
	m := backends.New(backends.Options{
		Store: store, Xen: backends.Host(), Kind: "vif", Self: self, Driver: driver, Log: o.Log,
	})
	o.Log.Info("serving vifs", logs.Uint16("domain", uint16(self)), logs.Int("max_queues", driver.MaxQueues))
	return daemon.Run(ctx, o.Log, m.Run)
}
