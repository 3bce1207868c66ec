package main

import (
	"context"
	"fmt"

	"goxl/xenctrl/abi"
)

// endThrottles gives guests their processor time back that a migration with
// --auto-converge has slowed down and was killed. Every command does so, as nobody else
// knows; it costs one look at a directory.
func (a *app) endThrottles(ctx context.Context) {
	if a.globals.dryRun {
		return
	}
	err := a.host.domains.EndThrottles(ctx, func(id abi.DomID) {
		fmt.Fprintf(a.env.stderr, "note: domain %d was slowed down by a migration that was killed; it has its processor time back\n", id)
	})
	if err != nil {
		fmt.Fprintf(a.env.stderr, "warning: a guest that a killed migration has slowed down may be slow: %v\n", err)
	}
}
