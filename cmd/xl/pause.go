package main

import (
	"context"

	"github.com/urfave/cli/v2"
)

// pauseCommand is "xl pause <Domain>".
func pauseCommand(a *app) *cli.Command {
	return a.new("pause", body{min: 1, run: func(ctx context.Context, args []string) error {
		id, err := a.domain(ctx, args[0])
		if err != nil {
			return err
		}
		return a.ignored(a.host.domains.Pause(ctx, id))
	}})
}

// unpauseCommand is "xl unpause <Domain>".
func unpauseCommand(a *app) *cli.Command {
	return a.new("unpause", body{min: 1, run: func(ctx context.Context, args []string) error {
		id, err := a.domain(ctx, args[0])
		if err != nil {
			return err
		}
		return a.ignored(a.host.domains.Unpause(ctx, id))
	}})
}
