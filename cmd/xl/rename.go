package main

import (
	"context"
)

// renameCommand is "xl rename <Domain> <NewDomainName>".
func renameCommand(a *app) *command {
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
