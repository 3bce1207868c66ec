// Command consoled serves the consoles of Xen's guests. It is a drop-in for
// xenconsoled: it takes the same options, and leaves the same nodes and log files.
//
// What is meant to differ: a guest's last output still reaches whoever reads its
// console when the guest ends, and stays for "xl console --log"; a log follows a
// guest that is renamed; in the background it says that it is up, by its exit status,
// only once it is; and a name with a slash names a file in the folder of logs.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"goxl/backends/console"
	"goxl/cmd/internal/background"
	"goxl/cmd/internal/sdnotify"
	"goxl/domains/logs"
	"goxl/xenstore"
)

func main() { os.Exit(run(os.Args)) }

// run is the program; it returns its exit status.
func run(args []string) int {
	o, err := parseOptions(args[0], args[1:], os.Stderr)
	switch {
	case err != nil:
		return int(syscall.EINVAL)
	case o.help:
		fmt.Printf(usageText, args[0])
		return 0
	case o.version:
		fmt.Println("Xen Console Daemon 3.0")
		return 0
	case os.Geteuid() != 0:
		fmt.Fprintf(os.Stderr, "%s requires root to run.\n", args[0])
		return int(syscall.EPERM)
	}
	if !o.interactive && !background.Is() {
		if err := background.Start(nil); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", args[0], err)
			return 1
		}
		return 0
	}
	log := newLogger(o.verbose, !o.interactive)
	if err := serve(o, log); err != nil {
		log.Error("the consoles cannot be served", logs.Error(err))
		background.Report(err)
		return 1
	}
	return 0
}

// serve does the daemon's work until a signal ends it.
func serve(o options, log *logs.Logger) (err error) {
	raiseFileLimit(log)
	if !o.interactive {
		syscall.Umask(0o027)
		pid, err := takePIDFile(o.pidFile)
		if err != nil {
			return err
		}
		defer pid.release()
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)

	store, err := xenstore.Dial(ctx, xenstore.WithReconnect(storeReporter(log)))
	if err != nil {
		return err
	}
	defer store.Close()
	host, err := console.OpenHost(log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	o.Logger = log
	d := console.New(store, host, o.Options)
	go func() { // ends with the process
		for range hup {
			d.Reload()
		}
	}()
	endChannels, err := serveChannels(ctx, store, log)
	if err != nil {
		return err
	}
	defer endChannels()
	err = d.Run(ctx, func() { ready(log) })
	if nerr := sdnotify.Send(sdnotify.Stopping); nerr != nil {
		log.Warn("systemd", logs.Error(nerr))
	}
	return err
}

// ready tells whoever waits for it that all guests are served.
func ready(log *logs.Logger) {
	background.Report(nil)
	if err := sdnotify.Send(sdnotify.Ready); err != nil {
		log.Warn("systemd", logs.Error(err))
	}
}

// storeReporter logs when the store goes away and when it is back.
func storeReporter(log *logs.Logger) func(error) {
	return func(err error) {
		if err != nil {
			log.Warn("lost xenstore", logs.Error(err))
			return
		}
		log.Warn("xenstore is back")
	}
}
