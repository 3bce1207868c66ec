package domains_test

import (
	"context"

	"goxl/domains"
	"goxl/domains/supervise"
	"goxl/xenctrl/abi"
)

// Package supervise imports the one under test, so only this half of the tests can
// hand it to the fault walk.
func init() {
	domains.Supervision.Run = func(ctx context.Context, m *domains.Manager, dir string) error {
		return supervise.Run(ctx, supervise.Options{Manager: m, Dir: dir})
	}
	domains.Supervision.Register = func(ctx context.Context, m *domains.Manager, dir string, id abi.DomID) error {
		rec, err := supervise.NewRecord(ctx, m, id)
		if err != nil {
			return err
		}
		return supervise.Register(ctx, dir, rec, func() error { return nil })
	}
}
