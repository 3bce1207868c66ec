package main

import (
	"context"
	"fmt"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/xenctrl/abi"
)

// pinning is one run of "xl vcpu-pin".
type pinning struct {
	id                 abi.DomID
	force, ignoreMasks bool
}

// pin sets where vcpus may run. Args are the vcpu or "all", the hard affinity
// and, maybe, the soft one; "-" leaves one as it is.
func (a *app) pin(ctx context.Context, p *pinning, args []string) error {
	vcpu, rest := strtol(args[0])
	if rest == args[0] || vcpu < 0 {
		if args[0] != "all" {
			return failf(nil, "Error: Invalid argument %s as VCPU.", args[0])
		}
		if p.force {
			return failf(nil, "Error: --force and 'all' as VCPU not allowed.")
		}
		vcpu = domains.AllVCPUs
	}
	o, err := a.host.parseOptions(args[1]+" "+args[len(args)-1], nil)
	if err != nil {
		return err
	}
	hard, err := affinity(args[1], o.Host)
	if err != nil {
		return err
	}
	var soft config.Bitmap
	if len(args) > 2 {
		if soft, err = affinity(args[2], o.Host); err != nil {
			return err
		}
	}
	if a.globals.dryRun {
		a.out.WriteString(cpumapText(hard, soft, o.Host.MaxCPUs))
		return nil
	}
	if !p.ignoreMasks && hard != nil {
		if err := a.maskPin(ctx, p.id, hard, o.Host); err != nil {
			return err
		}
	}
	err = a.host.domains.PinVCPU(ctx, p.id, int(vcpu), abi.Bitmap(hard), abi.Bitmap(soft), p.force)
	switch {
	case err == nil:
		return nil
	case vcpu == domains.AllVCPUs:
		return a.ignored(failf(err, "Could not set affinity."))
	}
	return failf(err, "Could not set affinity for vcpu `%d'.", vcpu)
}

// affinity reads a list of CPUs; nil for "-".
func affinity(text string, h config.Host) (config.Bitmap, error) {
	if text == "-" {
		return nil, nil
	}
	set, err := config.ParseCPUs(text, h)
	if err != nil {
		return nil, configFailure(err)
	}
	if set == nil {
		set = config.Bitmap{}
	}
	return set, nil
}

// cpumapText is what vcpu-pin shows instead of doing it, with -N.
func cpumapText(hard, soft config.Bitmap, cpus int) string {
	text := "-"
	if hard != nil {
		text = cpuRanges(hard.Has, cpus)
	}
	if soft != nil {
		text += " " + cpuRanges(soft.Has, cpus)
	}
	return fmt.Sprintf("cpumap: %s\n", text)
}

// maskPin restricts a hard affinity to what xl.conf allows for the kind of guest.
func (a *app) maskPin(ctx context.Context, id abi.DomID, hard config.Bitmap, h config.Host) error {
	t, err := a.host.domains.TypeOf(ctx, id)
	if err != nil {
		return failf(err, "Could not get domain info")
	}
	spec := &config.Spec{}
	spec.BInfo.Type = config.TypePVH // HVM has the same mask
	if t == domains.PV {
		spec.BInfo.Type = config.TypePV
	}
	spec.BInfo.VCPUHardAffinity = []config.Bitmap{hard}
	return configFailure(a.host.conf.ApplyCPUMasks(spec, h))
}
