package main

import (
	"context"
	"fmt"

	"goxl/domains/config"
	"goxl/domains/cpupool"
)

// pool resolves a pool argument: digits are an id, anything else is a name.
func (a *app) pool(ctx context.Context, arg string) (cpupool.Pool, error) {
	p, err := a.host.pools().Find(ctx, arg)
	if err != nil {
		return p, saidf(err, "unknown cpupool '%s'", arg)
	}
	return p, nil
}

// cpupoolListCommand is "xl cpupool-list [-c] [<CPU Pool>]". Unlike the other
// commands it knows pools by name only.
func cpupoolListCommand(a *app) *command {
	cpus := false
	return a.new("cpupool-list", body{
		table: optionTable{"c", []longOption{{"cpus", false, 'c'}}},
		opt:   func(byte, string) error { cpus = true; return nil },
		run: func(ctx context.Context, args []string) error {
			list, err := a.host.pools().List(ctx)
			if err != nil {
				return failf(err, "error getting cpupool info")
			}
			if len(args) > 0 {
				p, err := a.host.pools().ByName(ctx, args[0])
				if err != nil {
					return saidf(err, "Pool '%s' does not exist", args[0])
				}
				list = []cpupool.Pool{p}
			}
			a.out.WriteString(poolHeader(cpus))
			for _, p := range list {
				if cpus {
					a.out.WriteString(poolCPULine(p.Name, p.CPUs))
				} else {
					a.out.WriteString(poolLine(p.Name, len(p.CPUs), schedulerName(p.Sched), p.Domains))
				}
			}
			return nil
		},
	})
}

// cpupoolDestroyCommand is "xl cpupool-destroy <CPU Pool>".
func cpupoolDestroyCommand(a *app) *command {
	return a.new("cpupool-destroy", body{min: 1, run: func(ctx context.Context, args []string) error {
		p, err := a.pool(ctx, args[0])
		if err != nil {
			return err
		}
		if err := a.host.pools().Destroy(ctx, p.ID); err != nil {
			return failf(err, "Can't destroy cpupool '%s'", args[0])
		}
		return nil
	}})
}

// cpupoolRenameCommand is "xl cpupool-rename <CPU Pool> <new name>".
func cpupoolRenameCommand(a *app) *command {
	return a.new("cpupool-rename", body{min: 2, run: func(ctx context.Context, args []string) error {
		p, err := a.pool(ctx, args[0])
		if err != nil {
			return err
		}
		if err := a.host.pools().Rename(ctx, p.ID, args[1]); err != nil {
			return failf(err, "Can't rename cpupool '%s'", args[0])
		}
		return nil
	}})
}

// cpupoolCPUAddCommand is "xl cpupool-cpu-add <CPU Pool> <CPU nr>|node:<node nr>".
// What could not be added is told, and is no failure.
func cpupoolCPUAddCommand(a *app) *command {
	return a.new("cpupool-cpu-add", body{min: 2, run: func(ctx context.Context, args []string) error {
		cpus, err := a.cpuList(args[1])
		if err != nil {
			return err
		}
		p, err := a.pool(ctx, args[0])
		if err != nil {
			return err
		}
		if err := a.host.pools().AddCPUs(ctx, p.ID, cpus); err != nil {
			return a.ignored(failf(err, "some cpus may not have been added to %s", args[0]))
		}
		return nil
	}})
}

// cpupoolCPURemoveCommand is "xl cpupool-cpu-remove <CPU Pool> <CPU nr>|node:<node nr>".
func cpupoolCPURemoveCommand(a *app) *command {
	return a.new("cpupool-cpu-remove", body{min: 2, run: func(ctx context.Context, args []string) error {
		cpus, err := a.cpuList(args[1])
		if err != nil {
			return err
		}
		p, err := a.pool(ctx, args[0])
		if err != nil {
			return err
		}
		if err := a.host.pools().RemoveCPUs(ctx, p.ID, cpus); err != nil {
			return a.ignored(failf(err, "Some cpus may have not or only partially been removed from '%s'.\n"+
				"If a cpu can't be added to another cpupool, add it to '%s' again and retry.", args[0], args[0]))
		}
		return nil
	}})
}

// cpuList reads a list of CPUs of this host, which may name NUMA nodes.
func (a *app) cpuList(text string) ([]int, error) {
	o, err := a.host.parseOptions(text, nil)
	if err != nil {
		return nil, err
	}
	set, err := config.ParseCPUs(text, o.Host)
	if err != nil {
		return nil, configFailure(err)
	}
	var cpus []int
	for cpu := range set.All() {
		cpus = append(cpus, cpu)
	}
	return cpus, nil
}

// cpupoolMigrateCommand is "xl cpupool-migrate <Domain> <CPU Pool>". The domain
// must have a name.
func cpupoolMigrateCommand(a *app) *command {
	return a.new("cpupool-migrate", body{min: 2, run: func(ctx context.Context, args []string) error {
		id, err := a.host.domains.Find(ctx, args[0])
		if err == nil {
			_, err = a.host.domains.Name(ctx, id)
		}
		if err != nil {
			return saidf(err, "unknown domain '%s'", args[0])
		}
		p, err := a.pool(ctx, args[1])
		if err != nil {
			return err
		}
		if err := a.host.pools().Move(ctx, id, p.ID); err != nil {
			return &failure{status: 1, cause: fmt.Errorf("move domain %d to cpupool %s: %w", id, p.Name, err)}
		}
		return nil
	}})
}
