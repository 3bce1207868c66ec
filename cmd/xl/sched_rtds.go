package main

import (
	"context"

	"goxl/domains"
	"goxl/xenctrl/abi"
)

// realTime is what a command line of sched-rtds asks for: options that may be
// given once for each vcpu.
type realTime struct {
	domain, pool     string
	inDomain, inPool bool
	all              bool // -v all
	vcpus            []uint32
	periods, budgets []uint32
	extra            []bool
}

func (r *realTime) option(letter byte, arg string) error {
	n, _ := strtol(arg)
	switch letter {
	case 'd':
		r.domain, r.inDomain = arg, true
	case 'c':
		r.pool, r.inPool = arg, true
	case 'p':
		r.periods = append(r.periods, uint32(n))
	case 'b':
		r.budgets = append(r.budgets, uint32(n))
	case 'e':
		if arg != "0" && arg != "1" {
			return failf(nil, "Invalid extratime.")
		}
		r.extra = append(r.extra, arg == "1")
	case 'v':
		if arg == "all" {
			r.all = true
		} else {
			r.vcpus = append(r.vcpus, uint32(n))
		}
	}
	return nil
}

// setting reports whether there is something to set.
func (r *realTime) setting() bool { return len(r.periods)+len(r.budgets)+len(r.extra) > 0 }

// check finds contradictions, in the genuine order.
func (r *realTime) check() error {
	some := func(n int) bool { return n > 0 && len(r.vcpus) > n }
	p, b, e := len(r.periods), len(r.budgets), len(r.extra)
	switch {
	case r.inPool && (r.inDomain || r.setting() || len(r.vcpus) > 0 || r.all):
		return failf(nil, "Specifying a cpupool is not allowed with other options.")
	case !r.inDomain && (r.setting() || len(r.vcpus) > 0):
		return failf(nil, "Missing parameters.")
	case r.inDomain && len(r.vcpus) == 0 && !r.all && r.setting():
		return failf(nil, "Must specify VCPU.")
	case len(r.vcpus) > 0 && r.all:
		return failf(nil, "Incorrect VCPU IDs.")
	case some(b) || some(p) || some(e) || p != b || p != e:
		return failf(nil, "Incorrect number of period, budget and extratime")
	}
	return nil
}

// schedRTDSCommand is "xl sched-rtds".
func schedRTDSCommand(a *app) *command {
	r := &realTime{}
	return a.new("sched-rtds", body{
		// The letter c takes no argument, the genuine xl forgot it; the long name does.
		table: optionTable{"d:p:b:e:v:c", []longOption{
			{"domain", true, 'd'}, {"period", true, 'p'}, {"budget", true, 'b'},
			{"extratime", true, 'e'}, {"vcpuid", true, 'v'}, {"cpupool", true, 'c'},
		}},
		opt: r.option,
		run: func(ctx context.Context, args []string) error {
			if err := r.check(); err != nil {
				return err
			}
			switch {
			case !r.inDomain && r.all:
				return a.listAllVCPUSchedules(ctx)
			case !r.inDomain:
				return a.listSchedule(ctx, abi.SchedRTDS, r.pool, r.inPool && r.pool != "")
			}
			id, err := a.domain(ctx, r.domain)
			switch {
			case err != nil:
				return err
			case r.setting():
				return a.setVCPUSchedule(ctx, r, id)
			case len(r.vcpus) > 0 || r.all:
				a.out.WriteString(schedVCPUHeader())
				return a.listVCPUSchedule(ctx, id, r.vcpus)
			}
			a.out.WriteString(schedHeader(abi.SchedRTDS))
			return a.scheduleLine(ctx, abi.SchedRTDS, id)
		},
	})
}

// listAllVCPUSchedules lists the vcpus of all domains in pools of this kind.
func (a *app) listAllVCPUSchedules(ctx context.Context) error {
	list, err := a.host.domains.List(ctx)
	if err != nil {
		return failf(err, "libxl_list_domain failed.")
	}
	pools, err := a.host.pools().List(ctx)
	if err != nil {
		return failf(err, "error getting cpupool info")
	}
	for i := range pools {
		if pools[i].Sched != abi.SchedRTDS {
			continue
		}
		a.poolLine(abi.SchedRTDS, &pools[i])
		a.out.WriteString(schedVCPUHeader())
		for _, d := range list {
			if d.Pool != pools[i].ID {
				continue
			}
			if err := a.listVCPUSchedule(ctx, d.ID, nil); err != nil {
				return a.ignored(err)
			}
		}
	}
	return nil
}

// listVCPUSchedule prints the lines of some vcpus, or all when none is named.
func (a *app) listVCPUSchedule(ctx context.Context, id abi.DomID, vcpus []uint32) error {
	d, _, err := a.scheduleOf(ctx, abi.SchedRTDS, id)
	if err != nil {
		return err
	}
	if len(vcpus) == 0 {
		vcpus = allVCPUs(&d)
	}
	params, err := a.host.xen.VCPUSchedParams(id, abi.SchedRTDS, vcpus)
	if err != nil {
		return failf(err, "libxl_vcpu_sched_params_get failed.")
	}
	for i, p := range params {
		a.out.WriteString(schedVCPULine(&d, int(vcpus[i]), p))
	}
	return nil
}

// setVCPUSchedule sets the parameters of some vcpus, or the same for all.
func (a *app) setVCPUSchedule(ctx context.Context, r *realTime, id abi.DomID) error {
	d, _, err := a.scheduleOf(ctx, abi.SchedRTDS, id)
	if err != nil {
		return err
	}
	vcpus := r.vcpus
	if r.all {
		vcpus = allVCPUs(&d)
	}
	params := make([]abi.SchedParams, len(vcpus))
	for i := range params {
		from := i
		if r.all {
			from = 0
		}
		params[i] = abi.SchedParams{Period: r.periods[from], Budget: r.budgets[from]}
		if r.extra[from] {
			params[i].Flags = abi.RTDSExtratime
		}
	}
	if err := a.host.xen.SetVCPUSchedParams(id, abi.SchedRTDS, vcpus, params); err != nil {
		return failf(err, "libxl_vcpu_sched_params_set failed.")
	}
	return nil
}

func allVCPUs(d *domains.Domain) []uint32 {
	var list []uint32
	for n := range d.MaxVCPU + 1 {
		list = append(list, uint32(n))
	}
	return list
}
