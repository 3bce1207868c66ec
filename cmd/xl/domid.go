package main

import (
	"context"
	"fmt"

	"goxl/xenctrl/abi"
)

// domidCommand is "xl domid <DomainName>". Digits are a name here.
func domidCommand(a *app) *command {
	return a.new("domid", body{min: 1, run: func(ctx context.Context, args []string) error {
		id, err := a.host.domains.ByName(ctx, args[0])
		if err != nil {
			return saidf(err, "Can't get domid of domain name '%s', maybe this domain does not exist.", args[0])
		}
		fmt.Fprintf(a.out, "%d\n", id)
		return nil
	}})
}

// domnameCommand is "xl domname <DomainId>".
func domnameCommand(a *app) *command {
	return a.new("domname", body{min: 1, run: func(ctx context.Context, args []string) error {
		n, rest := strtol(args[0])
		if rest == args[0] {
			return failf(nil, "Invalid domain id.\n")
		}
		id := abi.DomInvalid
		if 0 <= n && n < int64(abi.DomFirstReserved) {
			id = abi.DomID(n)
		}
		name, err := a.host.domains.Name(ctx, id)
		if err != nil {
			return saidf(err, "Can't get domain name of domain id '%d', maybe this domain does not exist.", uint32(n))
		}
		fmt.Fprintf(a.out, "%s\n", name)
		return nil
	}})
}
