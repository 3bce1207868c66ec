package main

import (
	"context"
)

// sysrqCommand is "xl sysrq <Domain> <letter>".
func sysrqCommand(a *app) *command {
	return a.new("sysrq", body{min: 2, run: func(ctx context.Context, args []string) error {
		id, err := a.domain(ctx, args[0])
		if err != nil {
			return err
		}
		if len(args[1]) > 1 {
			a.out.WriteString(helpCommand(a.release, "sysrq"))
			return failf(nil, "Invalid sysrq.\n")
		}
		var letter byte // an empty argument is its closing NUL
		if args[1] != "" {
			letter = args[1][0]
		}
		return a.ignored(a.host.domains.SysRq(ctx, id, letter))
	}})
}
