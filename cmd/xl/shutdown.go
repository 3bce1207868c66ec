package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"goxl/domains"
	"goxl/xenctrl/abi"
)

// ending is one of the two ways to ask guests to end, with its texts.
type ending struct {
	name     string // of the command
	doing    string
	request  domains.Request
	trigger  domains.Trigger
	button   string // what the ACPI trigger is
	fallback string // what -F falls back to
}

var (
	shuttingDown = ending{"shutdown", "Shutting down", domains.AskPoweroff, domains.TriggerPower,
		"power button", "power event"}
	rebooting = ending{"reboot", "Rebooting", domains.AskReboot, domains.TriggerReset,
		"reset button", "reset event"}
)

// shutdownCommand is "xl shutdown [-a|-w|-F] <Domain>".
func shutdownCommand(a *app) *command { return a.endCommand(&shuttingDown) }

// rebootCommand is "xl reboot [-a|-w|-F] <Domain>".
func rebootCommand(a *app) *command { return a.endCommand(&rebooting) }

func (a *app) endCommand(e *ending) *command {
	var all, acpi bool
	wait := 0 // once: for the guest to end; more: for the domain to be gone
	return a.new(e.name, body{
		table: optionTable{"awF", []longOption{{"all", false, 'a'}, {"wait", false, 'w'}}},
		opt: func(letter byte, _ string) error {
			switch letter {
			case 'a':
				all = true
			case 'w':
				wait++
			case 'F':
				acpi = true
			}
			return nil
		},
		run: func(ctx context.Context, args []string) error {
			ids, err := a.endTargets(ctx, all, args)
			if err != nil {
				return err
			}
			for _, id := range ids {
				if err := a.end(ctx, e, id, acpi); err != nil {
					return err
				}
			}
			if wait == 0 {
				return nil
			}
			return a.waitForEnd(ctx, ids, wait == 1)
		},
	})
}

// endTargets are the domains to end: the one named, or all guests.
func (a *app) endTargets(ctx context.Context, all bool, args []string) ([]abi.DomID, error) {
	if !all {
		if len(args) == 0 {
			return nil, failf(nil, "You must specify -a or a domain id.\n")
		}
		id, err := a.domain(ctx, args[0])
		return []abi.DomID{id}, err
	}
	list, err := a.host.domains.List(ctx)
	if err != nil {
		return nil, failf(err, "libxl_list_domain failed.")
	}
	var ids []abi.DomID
	for _, d := range list {
		if d.ID != 0 && !d.Protected {
			ids = append(ids, d.ID)
		}
	}
	return ids, nil
}

// end asks one guest to end, by its ACPI button if it listens to nothing else
// and acpi is set.
func (a *app) end(ctx context.Context, e *ending, id abi.DomID, acpi bool) error {
	w := a.env.stderr
	fmt.Fprintf(w, "%s domain %d\n", e.doing, id)
	err := a.host.domains.Shutdown(ctx, id, e.request)
	if domains.CodeOf(err) == string(domains.NoPVControl) {
		const lack = "PV control interface not available: "
		if acpi {
			fmt.Fprintf(w, lack+"sending ACPI %s event.\n", e.button)
			err = a.host.domains.SendTrigger(ctx, id, e.trigger, 0)
		} else {
			fmt.Fprintf(w, lack+"external graceful %s not possible.\n", e.name)
			fmt.Fprintf(w, "Use \"-F\" to fallback to ACPI %s.\n", e.fallback)
		}
	}
	if err != nil {
		return failf(err, "%s failed (rc=%d)", e.name, domains.RCOf(err))
	}
	return nil
}

// waitForEnd waits for domains to shut down or, when shutdown is not enough, to
// be gone.
func (a *app) waitForEnd(ctx context.Context, ids []abi.DomID, shutdown bool) error {
	fmt.Fprintf(a.env.stderr, "Waiting for %d domains\n", len(ids))
	if len(ids) == 0 {
		return nil
	}
	w, err := a.host.domains.Watch(ctx, ids...)
	if err != nil {
		return failf(err, "wait for death failed (evgen, rc=%d)", domains.RCOf(err))
	}
	defer w.Close()
	if !awaitEnds(a.env.stderr, w.Events(), ids, shutdown) {
		err := errors.Join(w.Err(), ctx.Err())
		return failf(err, "Failed to get event, quitting (rc=%d)", domains.RCOf(err))
	}
	return nil
}

// awaitEnds tells of what happens to domains, until each of them has ended. It
// reports false when the events stop before that.
func awaitEnds(out io.Writer, events <-chan domains.Event, ids []abi.DomID, shutdown bool) bool {
	waiting := map[abi.DomID]bool{}
	for _, id := range ids {
		waiting[id] = true
	}
	for len(waiting) > 0 {
		e, ok := <-events
		if !ok {
			return false
		}
		switch {
		case !waiting[e.ID]:
		case e.Kind == domains.Destroyed:
			fmt.Fprintf(out, "Domain %d has been destroyed\n", e.ID)
			delete(waiting, e.ID)
		case e.Kind == domains.ShutDown:
			fmt.Fprintf(out, "Domain %d has been shut down, reason code %d\n", e.ID, e.Reason)
			if shutdown {
				delete(waiting, e.ID)
			} else {
				fmt.Fprintf(out, "Domain %d continue waiting for death\n", e.ID)
			}
		}
	}
	return true
}
