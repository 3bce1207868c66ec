package main

import (
	"context"
	"fmt"

	"goxl/domains"
	"goxl/xenctrl/abi"
)

// domain resolves a domain argument: digits are an id, which need not exist;
// anything else is a name.
func (a *app) domain(ctx context.Context, arg string) (abi.DomID, error) {
	id, err := a.host.domains.Find(ctx, arg)
	if err != nil {
		return 0, saidf(err, "%s is an invalid domain identifier (rc=%d)", arg, domains.RCOf(err))
	}
	return id, nil
}

// selection returns the domain that args name, or all of them when it names
// none. More than one are a mistake that shows the help of the command.
func (a *app) selection(ctx context.Context, name string, args []string) ([]domains.Domain, error) {
	switch len(args) {
	case 0:
		list, err := a.host.domains.List(ctx)
		if err != nil {
			return nil, failf(err, "libxl_list_domain failed.")
		}
		return list, nil
	case 1:
		id, err := a.domain(ctx, args[0])
		if err != nil {
			return nil, err
		}
		d, err := a.host.domains.Info(ctx, id)
		switch {
		case isNoDomain(err):
			return nil, saidf(err, "Error: Domain '%s' does not exist.", args[0])
		case err != nil:
			return nil, failf(err, "libxl_domain_info failed (code %d).", domains.RCOf(err))
		}
		return []domains.Domain{d}, nil
	}
	a.out.WriteString(helpCommand(a.release, name))
	return nil, exitStatus(1)
}

func isNoDomain(err error) bool { return domains.CodeOf(err) == string(domains.NoDomain) }

// ignored reports a failure that the genuine xl passes over in its exit status:
// so do we, unless --strict was given.
func (a *app) ignored(err error) error {
	if err == nil {
		return nil
	}
	status := a.rep.report(err)
	if a.globals.strict {
		return exitStatus(status)
	}
	return exitStatus(0)
}

// named is the domain's name in a sentence about it.
func named(id abi.DomID) string { return fmt.Sprintf("domain %d", id) }
