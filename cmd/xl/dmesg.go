package main

import (
	"context"
)

// dmesgCommand is "xl dmesg [-c]".
func dmesgCommand(a *app) *command {
	clear := false
	return a.new("dmesg", body{
		table: optionTable{"c", []longOption{{"clear", false, 'c'}}},
		opt:   func(byte, string) error { clear = true; return nil },
		run: func(ctx context.Context, args []string) error {
			text, err := a.host.xen.ReadConsole(clear)
			if err != nil {
				return &failure{status: 1, cause: err}
			}
			_, err = a.out.Write(text)
			return err
		},
	})
}

// debugKeysCommand is "xl debug-keys <Keys>".
func debugKeysCommand(a *app) *command {
	return a.new("debug-keys", body{min: 1, run: func(ctx context.Context, args []string) error {
		if err := a.host.xen.SendDebugKeys(args[0]); err != nil {
			return failf(err, "cannot send debug keys: %s", args[0])
		}
		return nil
	}})
}
