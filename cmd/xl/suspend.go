package main

import (
	"context"
)

// suspendCommand is "xl suspend <Domain>".
func suspendCommand(a *app) *command {
	return a.new("suspend", body{min: 1, run: func(ctx context.Context, args []string) error {
		id, err := a.domain(ctx, args[0])
		if err != nil {
			return err
		}
		ctx, stop := interruptible(ctx)
		defer stop()
		return a.ignored(a.host.domains.Suspend(ctx, id))
	}})
}

// resumeCommand is "xl resume <Domain>".
func resumeCommand(a *app) *command {
	return a.new("resume", body{min: 1, run: func(ctx context.Context, args []string) error {
		id, err := a.domain(ctx, args[0])
		if err != nil {
			return err
		}
		return a.ignored(a.host.domains.Resume(ctx, id))
	}})
}
