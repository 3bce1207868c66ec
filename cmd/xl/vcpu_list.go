package main

import (
	"context"

	"goxl/domains"
)

// vcpuListCommand is "xl vcpu-list [Domain, ...]".
func vcpuListCommand(a *app) *command {
	return a.new("vcpu-list", body{run: func(ctx context.Context, args []string) error {
		phys, err := a.host.xen.PhysInfo()
		if err != nil {
			return a.ignored(failf(err, "libxl_physinfo failed."))
		}
		cpus := int(phys.MaxCPUID) + 1
		a.out.WriteString(vcpuListHeader())
		if len(args) > 0 {
			for _, arg := range args {
				id, err := a.domain(ctx, arg)
				if err != nil {
					return err
				}
				d, err := a.host.domains.Info(ctx, id)
				if err != nil {
					a.rep.report(&failure{cause: err})
					continue
				}
				a.listVCPUs(ctx, &d, cpus)
			}
			return nil
		}
		list, err := a.host.domains.List(ctx)
		if err != nil {
			return a.ignored(failf(err, "libxl_list_domain failed."))
		}
		for i := range list {
			a.listVCPUs(ctx, &list[i], cpus)
		}
		return nil
	}})
}

// listVCPUs prints the lines of one domain. A domain that cannot be asked, as
// one that has just gone, has none.
func (a *app) listVCPUs(ctx context.Context, d *domains.Domain, cpus int) {
	vcpus, err := a.host.domains.VCPUs(ctx, d.ID)
	if err != nil {
		a.rep.report(&failure{cause: err})
		return
	}
	for i := range vcpus {
		a.out.WriteString(vcpuListLine(d, &vcpus[i], cpus))
	}
}
