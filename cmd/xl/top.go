package main

import (
	"context"
	"errors"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// topCommand is "xl top": the program xentop, found by the shell.
func topCommand(a *app) *command {
	return a.new("top", body{run: func(ctx context.Context, args []string) error {
		if err := a.out.Flush(); err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, "/bin/sh", "-c", "xentop")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, a.env.stdout, a.env.stderr
		err := cmd.Run()
		var ended *exec.ExitError
		if errors.As(err, &ended) {
			// The genuine xl exits with the low byte of the wait status, which is
			// the signal that ended xentop, or 0 whatever xentop returned.
			if w, ok := ended.Sys().(unix.WaitStatus); ok {
				return exitStatus(int(w) & 0xff)
			}
			return exitStatus(0)
		}
		return err
	}})
}
