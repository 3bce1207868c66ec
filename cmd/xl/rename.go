package main

import (
	"context"

	"github.com/urfave/cli/v2"
)

// renameCommand is "xl rename <Domain> <NewDomainName>".
func renameCommand(a *app) *cli.Command {
	return a.new("rename", body{min: 2, run: func(ctx context.Context, args []string) error {
		id, err := a.domain(ctx, args[0])
		if err != nil {
			return err
		}
		if err := a.host.domains.Rename(ctx, id, args[1]); err != nil {
			return failf(err, "Can't rename domain '%s'.", args[0])
		}
		return nil
	}})
}
