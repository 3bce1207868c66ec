package main

import (
	"context"
	"fmt"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/domains/device"
)

// networkAttachCommand is "xl network-attach <Domain> [key=value]...".
func networkAttachCommand(a *app) *command {
	return a.new("network-attach", body{min: 1, run: func(ctx context.Context, args []string) error {
		id, err := a.domain(ctx, args[0])
		if err != nil {
			return err
		}
		nic, warnings, err := config.ParseNIC(a.host.configRelease(), a.host.conf, args[1:]...)
		a.warn(warnings)
		if err != nil {
			return configFailure(err)
		}
		if a.globals.dryRun {
			_, err := fmt.Fprintf(a.out, "vif: %s\n", config.AppendJSON(nil, &nic, a.host.configRelease()))
			return err
		}
		if err := a.host.domains.AttachNIC(ctx, id, &nic); err != nil {
			return failf(err, "libxl_device_nic_add failed.")
		}
		return nil
	}})
}

// networkDetachCommand is "xl network-detach <Domain> <DevId|mac>".
func networkDetachCommand(a *app) *command {
	return a.new("network-detach", body{min: 2, run: func(ctx context.Context, args []string) error {
		id, err := a.domain(ctx, args[0])
		if err != nil {
			return err
		}
		err = a.host.domains.DetachNIC(ctx, id, args[1], device.Auto)
		switch {
		case err == nil:
			return nil
		case domains.CodeOf(err) == string(domains.NoDevice):
			return saidf(err, "Unknown device %s.", args[1])
		}
		return failf(err, "libxl_device_nic_del failed.")
	}})
}
