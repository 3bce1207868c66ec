package main

import (
	"context"
	"fmt"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/domains/device"
)

// blockAttachCommand is "xl block-attach <Domain> <disk-spec-component(s)>...".
// All components together are one disk.
func blockAttachCommand(a *app) *command {
	return a.new("block-attach", body{min: 2, run: func(ctx context.Context, args []string) error {
		id, err := a.host.domains.Find(ctx, args[0])
		if err != nil {
			return saidf(err, "%s is an invalid domain identifier", args[0])
		}
		disk, err := config.ParseDisk(a.host.configRelease(), args[1:]...)
		if err != nil {
			return configFailure(err)
		}
		if a.globals.dryRun {
			_, err := fmt.Fprintf(a.out, "disk: %s\n", config.AppendJSON(nil, &disk, a.host.configRelease()))
			return err
		}
		if err := a.host.domains.AttachDisk(ctx, id, &disk); err != nil {
			return failf(err, "libxl_device_disk_add failed.")
		}
		return nil
	}})
}

// blockDetachCommand is "xl block-detach [-f] <Domain> <DevId>". Up to 4.14 there
// is no -f: a disk that the guest holds on to is taken away after a while.
func blockDetachCommand(a *app) *command {
	how, verb := device.Safe, "safe_remove"
	table := optionTable{"f", []longOption{{"force", false, 'f'}}}
	if a.release < 15 {
		how, verb, table = device.Auto, "remove", optionTable{}
	}
	return a.new("block-detach", body{
		table: table,
		min:   2,
		opt:   func(byte, string) error { how, verb = device.Forced, "destroy"; return nil },
		run: func(ctx context.Context, args []string) error {
			id, err := a.domain(ctx, args[0])
			if err != nil {
				return err
			}
			err = a.host.domains.DetachDisk(ctx, id, args[1], how)
			switch {
			case err == nil:
				return nil
			case domains.CodeOf(err) == string(domains.NoDevice):
				return saidf(err, "Error: Device %s not connected.", args[1])
			}
			return failf(err, "libxl_device_disk_%s failed.", verb)
		},
	})
}
