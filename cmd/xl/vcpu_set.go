package main

import (
	"context"
	"math"

	"goxl/domains"
)

// vcpuSetCommand is "xl vcpu-set [-i] <Domain> <vCPUs>".
func vcpuSetCommand(a *app) *command {
	checkHost := true
	return a.new("vcpu-set", body{
		table: optionTable{"i", []longOption{{"ignore-host", false, 'i'}}},
		min:   2,
		opt:   func(byte, string) error { checkHost = false; return nil },
		run: func(ctx context.Context, args []string) error {
			id, err := a.domain(ctx, args[0])
			if err != nil {
				return err
			}
			n, rest := strtol(args[1])
			if rest == args[1] || n < 0 || n > math.MaxInt32 {
				return failf(nil, "Error: Invalid argument.")
			}
			if checkHost {
				d, err := a.host.domains.Info(ctx, id)
				if err != nil {
					return &failure{status: 1, cause: err}
				}
				phys, err := a.host.xen.PhysInfo()
				if err != nil {
					return &failure{status: 1, cause: err}
				}
				if cpus := int64(phys.MaxCPUID) + 1; n > int64(d.VCPUsOnline) && n > cpus {
					return failf(nil, "You are overcommmitting! You have %d physical CPUs and want %d vCPUs! "+
						"Aborting, use --ignore-host to continue", cpus, n)
				}
			}
			err = a.host.domains.SetVCPUs(ctx, id, int(n))
			switch {
			case err == nil:
				return nil
			case isNoDomain(err):
				return failf(err, "Domain %d does not exist.", id)
			}
			return failf(err, "libxl_set_vcpuonline failed domid=%d max_vcpus=%d, rc: %d", id, n, domains.RCOf(err))
		},
	})
}

// vcpuPinCommand is "xl vcpu-pin [-f] <Domain> <VCPU|all> <Hard|-|all> [Soft|-|all]".
func vcpuPinCommand(a *app) *command {
	p := pinning{}
	return a.new("vcpu-pin", body{
		table: optionTable{"fi", []longOption{
			{"force", false, 'f'}, {"ignore-global-affinity-masks", false, 'i'},
		}},
		min: 3,
		opt: func(letter byte, _ string) error {
			p.force = p.force || letter == 'f'
			p.ignoreMasks = p.ignoreMasks || letter == 'i'
			return nil
		},
		run: func(ctx context.Context, args []string) error {
			id, err := a.domain(ctx, args[0])
			if err != nil {
				return err
			}
			p.id = id
			return a.pin(ctx, &p, args[1:])
		},
	})
}
