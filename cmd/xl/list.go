package main

import (
	"context"
	"fmt"

	"goxl/domains"
)

// listCommand is "xl list [options] [Domain]".
func listCommand(a *app) *command {
	var cols columns
	long := false
	return a.new("list", body{
		table: optionTable{"lvhZcn", []longOption{
			{"long", false, 'l'}, {"verbose", false, 'v'}, {"context", false, 'Z'},
			{"cpupool", false, 'c'}, {"numa", false, 'n'},
		}},
		opt: func(letter byte, _ string) error {
			switch letter {
			case 'l':
				long = true
			case 'v':
				cols.verbose = true
			case 'Z':
				cols.context = true
			case 'c':
				cols.pool = true
			case 'n':
				cols.nodes = true
			}
			return nil
		},
		run: func(ctx context.Context, args []string) error {
			list, err := a.selection(ctx, "list", args)
			if err != nil {
				return err
			}
			if long {
				return a.listLong(ctx, list)
			}
			return a.list(ctx, cols, list)
		},
	})
}

// claimsCommand is "xl claims".
func claimsCommand(a *app) *command {
	return a.new("claims", body{run: func(ctx context.Context, args []string) error {
		if !a.host.conf.ClaimMode {
			fmt.Fprintln(a.env.stderr, "claim_mode not enabled (see man xl.conf).")
		}
		list, err := a.selection(ctx, "claims", nil)
		if err != nil {
			return err
		}
		return a.list(ctx, columns{claims: true}, list)
	}})
}

// list prints a table of domains.
func (a *app) list(ctx context.Context, cols columns, list []domains.Domain) error {
	nodes := 0
	if cols.nodes {
		p, err := a.host.xen.PhysInfo()
		if err != nil {
			return failf(err, "libxl_physinfo failed.")
		}
		nodes = int(p.Nodes)
	}
	a.out.WriteString(listHeader(cols))
	for i := range list {
		row := listRow{Domain: list[i]}
		if cols.verbose || cols.context {
			row.label = a.host.label(list[i].SSID)
		}
		if cols.pool {
			row.poolName, _ = a.host.domains.PoolName(ctx, list[i].Pool)
		}
		if cols.nodes {
			set, _ := a.host.xen.NodeAffinity(list[i].ID) // a domain just gone has none
			row.nodes = cpuRanges(set.Test, nodes)
		}
		a.out.WriteString(listLine(cols, &row))
	}
	return nil
}

// sharingCommand is "xl sharing [Domain]".
func sharingCommand(a *app) *command {
	return a.new("sharing", body{run: func(ctx context.Context, args []string) error {
		list, err := a.selection(ctx, "sharing", args)
		if err != nil {
			return err
		}
		a.out.WriteString(sharingHeader)
		for i := range list {
			a.out.WriteString(sharingLine(&list[i]))
		}
		return nil
	}})
}

// vmListCommand is "xl vm-list".
func vmListCommand(a *app) *command {
	return a.new("vm-list", body{run: func(ctx context.Context, args []string) error {
		list, err := a.guests(ctx)
		if err != nil {
			return failf(err, "libxl_list_vm failed.")
		}
		a.out.WriteString(vmListHeader)
		for i := range list {
			a.out.WriteString(vmListLine(&list[i]))
		}
		return nil
	}})
}

// guests returns the domains that are no stub domains; domain 0 is one of them.
func (a *app) guests(ctx context.Context) ([]domains.Domain, error) {
	list, err := a.host.domains.List(ctx)
	if err != nil {
		return nil, err
	}
	guests := list[:0]
	for _, d := range list {
		stub, err := a.host.domains.IsStub(ctx, d.ID)
		if err != nil {
			return nil, err
		}
		if !stub {
			guests = append(guests, d)
		}
	}
	return guests, nil
}
