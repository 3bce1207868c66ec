// Command xenlab runs a real Xen under QEMU: for a look, for the demonstration
// and for the tests that need a host.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"goxl/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := newApp().RunContext(ctx, os.Args)
	var exit *lab.ExitError
	switch {
	case err == nil:
	case errors.Is(err, errFailed): // the last line says how many
		os.Exit(1)
	case errors.As(err, &exit) && exit.Code > 0: // the command has said why itself
		os.Exit(exit.Code)
	default:
		fmt.Fprintln(os.Stderr, "xenlab:", err)
		os.Exit(1)
	}
}

// errFailed is the end of a run that has shown itself what failed.
var errFailed = errors.New("something failed")

// contextWithLimit is ctx with a cause that says which limit ended it.
func contextWithLimit(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done within %s", limit))
}

func newApp() *cli.App {
	return &cli.App{
		Name:  "xenlab",
		Usage: "real Xen hosts under QEMU, on any Linux machine",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "cache", Usage: "folder of the image `CACHE`", EnvVars: []string{"GOXL_CACHE"}},
		},
		Commands: []*cli.Command{
			upCommand(), downCommand(), statusCommand(),
			runCommand(), sshCommand(), cpCommand(), consoleCommand(), demoCommand(), testCommand(), benchCommand(),
		},
		HideHelpCommand: true,
		ExitErrHandler:  func(*cli.Context, error) {}, // main's work
	}
}
