package main

import (
	"context"

	"goxl/domains"
)

// destroyCommand is "xl destroy [-f] <Domain>".
func destroyCommand(a *app) *command {
	force := false
	return a.new("destroy", body{
		table: optionTable{letters: "f"},
		min:   1,
		opt:   func(byte, string) error { force = true; return nil },
		run: func(ctx context.Context, args []string) error {
			id, err := a.domain(ctx, args[0])
			if err != nil {
				return err
			}
			if id == 0 && !force {
				return failf(nil, "Not destroying domain 0; use -f to force.\n"+
					"This can only be done when using a disaggregated hardware domain and toolstack.\n")
			}
			if err := a.host.domains.Destroy(ctx, id); err != nil {
				return failf(err, "destroy failed (rc=%d)", domains.RCOf(err))
			}
			return nil
		},
	})
}
