package main

import (
	"context"
	"fmt"

	"goxl/domains"
	"goxl/domains/cpupool"
	"goxl/xenctrl/abi"
)

// scheduling is what a command line of sched-credit or sched-credit2 asks for;
// a nil number was not given.
type scheduling struct {
	sched                  uint32
	domain, pool           string
	inDomain, inPool       bool // -d, -p were given
	weight, limit          *int64
	pools                  bool // -s: the pool's parameters
	slice, rate, migration *int64
}

func (s *scheduling) option(letter byte, arg string) error {
	n, _ := strtol(arg)
	switch letter {
	case 'd':
		s.domain, s.inDomain = arg, true
	case 'p':
		s.pool, s.inPool = arg, true
	case 's':
		s.pools = true
	case 'w':
		s.weight = &n
	case 'c':
		s.limit = &n
	case 't':
		s.slice = &n
	case 'r':
		s.rate = &n
	case 'm':
		s.migration = &n
	}
	return nil
}

// schedCreditCommand is "xl sched-credit".
func schedCreditCommand(a *app) *command {
	s := &scheduling{sched: abi.SchedCredit}
	return a.new("sched-credit", body{
		table: optionTable{"d:w:c:p:t:r:m:s", []longOption{
			{"domain", true, 'd'}, {"weight", true, 'w'}, {"cap", true, 'c'}, {"schedparam", false, 's'},
			{"tslice_ms", true, 't'}, {"ratelimit_us", true, 'r'}, {"migration_delay_us", true, 'm'},
			{"cpupool", true, 'p'},
		}},
		opt: s.option,
		run: func(ctx context.Context, args []string) error {
			inDomain := s.inDomain || s.weight != nil || s.limit != nil
			switch {
			case (s.inPool || s.pools) && inDomain:
				return failf(nil, "Specifying a cpupool or schedparam is not allowed with domain options.")
			case !s.inDomain && inDomain:
				return failf(nil, "Must specify a domain.")
			case !s.pools && (s.slice != nil || s.rate != nil || s.migration != nil):
				return failf(nil, "Must specify schedparam to set schedule parameter values.")
			}
			return a.schedule(ctx, s)
		},
	})
}

// schedCredit2Command is "xl sched-credit2".
func schedCredit2Command(a *app) *command {
	s := &scheduling{sched: abi.SchedCredit2}
	return a.new("sched-credit2", body{
		table: optionTable{"d:w:c:p:r:s", []longOption{
			{"domain", true, 'd'}, {"weight", true, 'w'}, {"cap", true, 'c'}, {"schedparam", false, 's'},
			{"ratelimit_us", true, 'r'}, {"cpupool", true, 'p'},
		}},
		opt: s.option,
		run: func(ctx context.Context, args []string) error {
			inDomain := s.inDomain || s.weight != nil || s.limit != nil
			switch {
			case s.inPool && inDomain:
				return failf(nil, "Specifying a cpupool is not allowed with other options.")
			case !s.inDomain && inDomain:
				return failf(nil, "Must specify a domain.")
			}
			return a.schedule(ctx, s)
		},
	})
}

// schedule lists or sets parameters, of pools or of a domain.
func (a *app) schedule(ctx context.Context, s *scheduling) error {
	switch {
	case s.pools:
		return a.schedulePool(ctx, s)
	case !s.inDomain:
		return a.listSchedule(ctx, s.sched, s.pool, s.inPool)
	}
	id, err := a.domain(ctx, s.domain)
	if err != nil {
		return err
	}
	if s.weight != nil || s.limit != nil {
		return a.setSchedule(ctx, s, id)
	}
	a.out.WriteString(schedHeader(s.sched))
	return a.scheduleLine(ctx, s.sched, id)
}

// schedulePool shows a pool's parameters or sets them.
func (a *app) schedulePool(ctx context.Context, s *scheduling) error {
	pool := cpupool.Pool{}
	if s.inPool {
		var err error
		if pool, err = a.pool(ctx, s.pool); err != nil {
			return err
		}
	} else {
		pool.Name, _ = a.host.domains.PoolName(ctx, 0)
	}
	p, err := a.host.xen.PoolSchedParams(pool.ID, s.sched)
	name := schedulerName(s.sched)
	if s.slice == nil && s.rate == nil && s.migration == nil {
		a.poolLine(s.sched, &pool)
		return nil
	}
	if err != nil && s.sched != abi.SchedCredit2 { // which has one parameter, to be set anyway
		return failf(err, "libxl_sched_%s_params_get failed.", name)
	}
	for _, set := range []struct {
		to   *uint32
		from *int64
	}{{&p.TimesliceMS, s.slice}, {&p.RatelimitUS, s.rate}, {&p.MigrDelayUS, s.migration}} {
		if set.from != nil {
			*set.to = uint32(*set.from)
		}
	}
	if _, err := a.host.xen.SetPoolSchedParams(pool.ID, s.sched, p); err != nil {
		return failf(err, "libxl_sched_%s_params_set failed.", name)
	}
	return nil
}

// poolLine prints a pool's parameters, or that there are none.
func (a *app) poolLine(sched uint32, pool *cpupool.Pool) {
	var shown *abi.PoolSchedParams
	if sched != abi.SchedRTDS {
		p, err := a.host.xen.PoolSchedParams(pool.ID, sched)
		if err != nil {
			a.rep.report(failf(err, "libxl_sched_%s_params_get failed.", schedulerName(sched)))
		} else {
			shown = &p
		}
	}
	a.out.WriteString(schedPoolLine(sched, orNull(pool.Name), shown))
}

// listSchedule lists the domains of all pools that run a scheduler, or of one.
func (a *app) listSchedule(ctx context.Context, sched uint32, only string, one bool) error {
	var wanted cpupool.Pool
	if one {
		var err error
		if wanted, err = a.pool(ctx, only); err != nil {
			return err
		}
	}
	list, err := a.host.domains.List(ctx)
	if err != nil {
		return failf(err, "libxl_list_domain failed.")
	}
	pools, err := a.host.pools().List(ctx)
	if err != nil {
		return failf(err, "error getting cpupool info")
	}
	for i := range pools {
		pool := &pools[i]
		if pool.Sched != sched || one && pool.ID != wanted.ID {
			continue
		}
		a.poolLine(sched, pool)
		a.out.WriteString(schedHeader(sched))
		for j := range list {
			if list[j].Pool != pool.ID {
				continue
			}
			if err := a.scheduleLine(ctx, sched, list[j].ID); err != nil {
				return a.ignored(err)
			}
		}
	}
	return nil
}

// scheduleLine prints the line of one domain.
func (a *app) scheduleLine(ctx context.Context, sched uint32, id abi.DomID) error {
	d, p, err := a.scheduleOf(ctx, sched, id)
	if err != nil {
		return err
	}
	a.out.WriteString(schedLine(sched, &d, p))
	return nil
}

// scheduleOf returns a domain and its parameters for the scheduler, which must be
// that of its pool.
func (a *app) scheduleOf(ctx context.Context, sched uint32, id abi.DomID) (domains.Domain, abi.SchedParams, error) {
	d, err := a.host.domains.Info(ctx, id)
	if err != nil {
		return d, abi.SchedParams{}, failf(err, "libxl_domain_sched_params_get failed.")
	}
	pool, err := a.host.xen.CPUPoolFrom(d.Pool)
	if err != nil {
		return d, abi.SchedParams{}, failf(err, "libxl_domain_sched_params_get failed.")
	}
	if pool.Sched != sched {
		return d, abi.SchedParams{}, failf(nil, "libxl_domain_sched_params_get returned %s not %s.",
			schedulerName(pool.Sched), schedulerName(sched))
	}
	if sched == abi.SchedRTDS { // periods are per vcpu
		return d, abi.SchedParams{}, nil
	}
	p, err := a.host.xen.SchedParams(id, sched)
	if err != nil {
		return d, p, failf(err, "libxl_domain_sched_params_get failed.")
	}
	return d, p, nil
}

// setSchedule changes a domain's weight and cap.
func (a *app) setSchedule(ctx context.Context, s *scheduling, id abi.DomID) error {
	p, err := a.host.xen.SchedParams(id, s.sched)
	if err == nil {
		err = s.change(&p, func() (int, error) {
			d, err := a.host.domains.Info(ctx, id)
			return 100 * (d.MaxVCPU + 1), err
		})
	}
	if err == nil {
		err = a.host.xen.SetSchedParams(id, s.sched, p)
	}
	if err != nil {
		return failf(err, "libxl_domain_sched_params_set failed.")
	}
	return nil
}

// change puts the numbers of the command line into p, if they are possible.
func (s *scheduling) change(p *abi.SchedParams, maxCap func() (int, error)) error {
	if w := s.weight; w != nil {
		if *w < 1 || *w > 65535 {
			return fmt.Errorf("set the weight: %d is not between 1 and 65535", *w)
		}
		p.Weight = uint16(*w)
	}
	if c := s.limit; c != nil {
		limit, err := maxCap()
		if err != nil {
			return err
		}
		if *c < 0 || *c > int64(limit) {
			return fmt.Errorf("set the cap: %d is not between 0 and %d, 100 for each vcpu", *c, limit)
		}
		p.Cap = uint16(*c)
	}
	return nil
}
