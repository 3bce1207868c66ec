package main

import (
	"context"
)

// pauseCommand is "xl pause <Domain>".
func pauseCommand(a *app) *command {
	return a.new("pause", body{min: 1, run: func(ctx context.Context, args []string) error {
		id, err := a.domain(ctx, args[0])
		if err != nil {
			return err
		}
		return a.ignored(a.host.domains.Pause(ctx, id))
	}})
}

// unpauseCommand is "xl unpause <Domain>".
func unpauseCommand(a *app) *command {
	return a.new("unpause", body{min: 1, run: func(ctx context.Context, args []string) error {
		id, err := a.domain(ctx, args[0])
		if err != nil {
			return err
		}
		return a.ignored(a.host.domains.Unpause(ctx, id))
	}})
}
