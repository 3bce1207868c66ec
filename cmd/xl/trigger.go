package main

import (
	"context"
	"fmt"
	"strings"

	"goxl/domains"
)

// parseTrigger reads a trigger's name in any case.
func parseTrigger(s string) (domains.Trigger, bool) {
	switch strings.ToLower(s) {
	case "nmi":
		return domains.TriggerNMI, true
	case "reset":
		return domains.TriggerReset, true
	case "init":
		return domains.TriggerInit, true
	case "power":
		return domains.TriggerPower, true
	case "sleep":
		return domains.TriggerSleep, true
	case "s3resume":
		return domains.TriggerS3Resume, true
	}
	return 0, false
}

// triggerCommand is "xl trigger <Domain> <nmi|reset|init|power|sleep|s3resume> [<VCPU>]".
func triggerCommand(a *app) *command {
	return a.new("trigger", body{min: 2, run: func(ctx context.Context, args []string) error {
		id, err := a.domain(ctx, args[0])
		if err != nil {
			return err
		}
		t, ok := parseTrigger(args[1])
		if !ok && args[1] != "unknown" {
			return failf(nil, "Invalid trigger \"%s\"", args[1])
		}
		var vcpu int64
		if len(args) > 2 {
			var rest string
			if vcpu, rest = strtol(args[2]); rest == args[2] {
				fmt.Fprint(a.env.stderr, "Invalid vcpuid, using default vcpuid=0.\n\n")
			}
		}
		if !ok { // the genuine xl has a name for "none of them"
			return a.ignored(failf(nil, "Trigger \"%s\" cannot be sent", args[1]))
		}
		return a.ignored(a.host.domains.SendTrigger(ctx, id, t, uint32(vcpu)))
	}})
}

// buttonPressCommand is "xl button-press <Domain> <Button>".
func buttonPressCommand(a *app) *command {
	b := body{min: 2, run: func(ctx context.Context, args []string) error {
		id, err := a.domain(ctx, args[0])
		if err != nil {
			return err
		}
		t, ok := parseTrigger(args[1])
		if !ok || args[1] != "power" && args[1] != "sleep" {
			return failf(nil, "%s is an invalid button identifier", args[1])
		}
		return a.ignored(a.host.domains.SendTrigger(ctx, id, t, 0))
	}}
	c := a.new("button-press", b)
	press := c.run
	c.run = func(ctx context.Context, args []string) error { // the warning comes before a look at the options
		fmt.Fprintln(a.env.stderr, `WARNING: "button-press" is deprecated. Please use "trigger"`)
		return press(ctx, args)
	}
	return c
}
