package main

import (
	"context"
)

// dumpCoreCommand is "xl dump-core <Domain> <filename>".
func dumpCoreCommand(a *app) *command {
	return a.new("dump-core", body{min: 2, run: func(ctx context.Context, args []string) error {
		id, err := a.domain(ctx, args[0])
		if err != nil {
			return err
		}
		ctx, stop := interruptible(ctx)
		defer stop()
		if err := a.host.domains.DumpCore(ctx, id, args[1]); err != nil {
			// The genuine tool has one number for all causes: ERROR_FAIL.
			return failf(err, "core dump failed (rc=-3)")
		}
		return nil
	}})
}
