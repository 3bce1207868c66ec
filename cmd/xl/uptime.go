package main

import (
	"context"
	"os"
	"time"

	"goxl/domains"
	"goxl/xenctrl/abi"
)

// uptimeCommand is "xl uptime [-s] [Domain]".
func uptimeCommand(a *app) *command {
	short := false
	return a.new("uptime", body{
		table: optionTable{letters: "s"},
		opt:   func(byte, string) error { short = true; return nil },
		run: func(ctx context.Context, args []string) error {
			var ids []abi.DomID
			for _, arg := range args {
				id, err := a.domain(ctx, arg)
				if err != nil {
					return err
				}
				ids = append(ids, id)
			}
			now := time.Now()
			if !short {
				a.out.WriteString(uptimeHeader())
			}
			if len(args) == 0 {
				list, err := a.guests(ctx)
				if err != nil {
					return a.ignored(failf(err, "Could not list vms."))
				}
				for _, d := range list {
					ids = append(ids, d.ID)
				}
			}
			for _, id := range ids {
				if err := a.uptime(ctx, id, short, now); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

// uptime prints the line of one domain; one without a start time has none.
func (a *app) uptime(ctx context.Context, id abi.DomID, short bool, now time.Time) error {
	d := domains.Domain{ID: id}
	name, err := a.host.domains.Name(ctx, id)
	d.Name, d.Named = name, err == nil
	var up time.Duration
	if id == 0 {
		if up, err = hostUptime(); err != nil {
			return &failure{status: 255, text: "Can not get Dom0 uptime.", cause: err}
		}
	} else {
		start, err := a.host.domains.StartTime(ctx, id)
		if err != nil {
			a.rep.report(&failure{cause: err})
			return nil
		}
		up = time.Duration(uint32(now.Unix()-start.Unix())) * time.Second
	}
	a.out.WriteString(uptimeLine(&d, up, short, now))
	return nil
}

// hostUptime is how long the kernel runs, in whole seconds.
func hostUptime() (time.Duration, error) {
	b, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 0, err
	}
	seconds, _ := strtol(string(b))
	return time.Duration(seconds) * time.Second, nil
}
