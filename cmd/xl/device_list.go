package main

import (
	"context"

	"goxl/xenctrl/abi"
)

// blockListCommand is "xl block-list <Domain>...". A name that nobody has is told
// and passed over.
func blockListCommand(a *app) *command {
	return a.new("block-list", body{min: 1, run: func(ctx context.Context, args []string) error {
		a.out.WriteString(blockListHeader())
		var last error
		for _, arg := range args {
			id, err := a.host.domains.Find(ctx, arg)
			if err != nil {
				last = a.ignored(saidf(err, "%s is an invalid domain identifier", arg))
				continue
			}
			disks, err := a.host.domains.Disks(ctx, id)
			if err != nil {
				last = a.ignored(&failure{status: 1, cause: err})
			}
			for i := range disks {
				a.out.WriteString(blockListLine(&disks[i].Link))
			}
		}
		return last
	}})
}

// networkListCommand is "xl network-list <Domain>...".
func networkListCommand(a *app) *command {
	return a.listEach("network-list", networkListHeader(), func(ctx context.Context, id abi.DomID) error {
		nics, err := a.host.domains.NICs(ctx, id)
		for i := range nics {
			a.out.WriteString(networkListLine(&nics[i].Link, nics[i].NIC.MAC))
		}
		return err
	})
}

// channelListCommand is "xl channel-list <Domain>...".
func channelListCommand(a *app) *command {
	return a.listEach("channel-list", channelListHeader(), func(ctx context.Context, id abi.DomID) error {
		channels, err := a.host.domains.Channels(ctx, id)
		for i := range channels {
			a.out.WriteString(channelListLine(&channels[i]))
		}
		return err
	})
}

// listEach is a command that prints a header, then lines for each domain named.
// A domain without the directories, as one that does not exist, has no lines.
func (a *app) listEach(name, header string, list func(context.Context, abi.DomID) error) *command {
	return a.new(name, body{min: 1, run: func(ctx context.Context, args []string) error {
		a.out.WriteString(header)
		var last error
		for _, arg := range args {
			id, err := a.domain(ctx, arg)
			if err != nil {
				return err
			}
			if err := list(ctx, id); err != nil {
				last = a.ignored(&failure{status: 1, cause: err})
			}
		}
		return last
	}})
}
