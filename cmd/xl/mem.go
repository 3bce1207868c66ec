package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"goxl/domains"
	"goxl/xenctrl/abi"
)

// memMaxCommand is "xl mem-max <Domain> <size>".
func memMaxCommand(a *app) *command {
	return a.memCommand("mem-max", "static", func(ctx context.Context, id abi.DomID, size abi.KiB) error {
		return a.host.domains.SetMaxMem(ctx, id, size)
	})
}

// memSetCommand is "xl mem-set [--wait[=SECONDS]] <Domain> <size>". As with the genuine
// tool the command ends when the target is set. A guest takes its time to follow, and
// may not: whoever wants to know that asks for it with an option of our own, since a
// command that waits, or says more than before, would break scripts.
func memSetCommand(a *app) *command {
	var patience time.Duration
	var bad error
	b := a.memBody("dynamic", func(ctx context.Context, id abi.DomID, size abi.KiB) error {
		if patience == 0 {
			return a.host.domains.SetMem(ctx, id, size)
		}
		ctx, stop := interruptible(ctx)
		defer stop()
		return a.host.domains.SetMemAndWait(ctx, id, size, patience)
	})
	b.first = func(args []string) []string {
		var rest []string
		rest, patience, bad = cutWait(args)
		return rest
	}
	set := b.run
	b.run = func(ctx context.Context, args []string) error {
		if bad != nil {
			return failf(nil, "%v", bad)
		}
		return set(ctx, args)
	}
	return a.new("mem-set", b)
}

// How long mem-set --wait waits at most: unless told, and when told too much.
const defaultWait, maxWait = 30 * time.Second, 24 * time.Hour

// cutWait takes our option from the front of mem-set's arguments. Patience is 0
// without it.
func cutWait(args []string) (rest []string, patience time.Duration, err error) {
	if len(args) == 0 {
		return args, 0, nil
	}
	if args[0] == "--wait" {
		return args[1:], defaultWait, nil
	}
	text, ok := strings.CutPrefix(args[0], "--wait=")
	if !ok {
		return args, 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if patience = time.Duration(n) * time.Second; err != nil || n == 0 || patience > maxWait {
		return args[1:], 0, fmt.Errorf("%s: not a number of seconds between 1 and %d", args[0], maxWait/time.Second)
	}
	return args[1:], patience, nil
}

func (a *app) memCommand(name, kind string, set func(context.Context, abi.DomID, abi.KiB) error) *command {
	return a.new(name, a.memBody(kind, set))
}

func (a *app) memBody(kind string, set func(context.Context, abi.DomID, abi.KiB) error) body {
	return body{min: 2, run: func(ctx context.Context, args []string) error {
		id, err := a.domain(ctx, args[0])
		if err != nil {
			return err
		}
		size, ok := parseMemSize(args[1])
		if !ok {
			return failf(nil, "invalid memory size: %s", args[1])
		}
		err = set(ctx, id, size)
		if unreached := (*domains.Unreached)(nil); errors.As(err, &unreached) {
			return &failure{status: 1, cause: err} // it is set, but the guest does not follow
		}
		if err != nil {
			return failf(err, "cannot set domid %d %s max memory to : %s", id, kind, args[1])
		}
		return nil
	}}
}
