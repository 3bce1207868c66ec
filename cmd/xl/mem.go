package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"goxl/xenctrl/abi"
)

// memMaxCommand is "xl mem-max <Domain> <size>".
func memMaxCommand(a *app) *cli.Command {
	return a.memCommand("mem-max", "static", func(ctx context.Context, id abi.DomID, size abi.KiB) error {
		return a.host.domains.SetMaxMem(ctx, id, size)
	})
}

// memSetCommand is "xl mem-set <Domain> <size>".
func memSetCommand(a *app) *cli.Command {
	return a.memCommand("mem-set", "dynamic", func(ctx context.Context, id abi.DomID, size abi.KiB) error {
		return a.host.domains.SetMem(ctx, id, size)
	})
}

func (a *app) memCommand(name, kind string, set func(context.Context, abi.DomID, abi.KiB) error) *cli.Command {
	return a.new(name, body{min: 2, run: func(ctx context.Context, args []string) error {
		id, err := a.domain(ctx, args[0])
		if err != nil {
			return err
		}
		size, ok := parseMemSize(args[1])
		if !ok {
			return failf(nil, "invalid memory size: %s", args[1])
		}
		if err := set(ctx, id, size); err != nil {
			return failf(err, "cannot set domid %d %s max memory to : %s", id, kind, args[1])
		}
		return nil
	}})
}
