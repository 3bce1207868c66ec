package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"goxl/lab/mini"
)

// movedMiB is how much memory the mini guests have that are moved.
const movedMiB = 64

// miniConfig is a shell command that writes the configuration of a mini guest.
func miniConfig(name, kind, options string, mib int) string {
	return fmt.Sprintf(`printf 'name="%%s"\ntype="%%s"\nkernel="%%s"\nextra="%%s"\nmemory=%%s\nvcpus=1\n' %s %s %s '%s' %d >/tmp/%s.cfg`,
		name, kind, mini.Path, options, mib, name)
}

// moves saves, restores and migrates mini guests.
func (b *bench) moves(ctx context.Context) error {
	for i := range b.rounds {
		for _, kind := range []string{"pvh", "pv"} {
			for _, xl := range b.turn(i) {
				if err := b.move(ctx, xl, kind); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// move saves, restores and, if PVH, migrates one guest: what a PV guest writes,
// Debian's Xen cannot note.
func (b *bench) move(ctx context.Context, xl, kind string) error {
	const name, file = "moved", "/tmp/moved.save"
	setup := miniConfig(name, kind, "mini.dirty=400 mini.tick=10", movedMiB) + " && " + xl + " create -q /tmp/" + name + ".cfg && sleep 1"
	if _, err := b.sh(ctx, setup); err != nil {
		return err
	}
	row := func(what string, target float64) metric {
		return metric{op: fmt.Sprintf("%s %s, %d MiB", what, strings.ToUpper(kind), movedMiB), unit: "ms", target: target}
	}
	if err := b.measure(ctx, row("save", 1), xl == oursXL, xl+" save "+name+" "+file); err != nil {
		return err
	}
	if err := b.measure(ctx, row("restore", 1), xl == oursXL, xl+" restore "+file); err != nil {
		return err
	}
	if kind == "pvh" {
		if err := b.migrate(ctx, row, xl, name); err != nil {
			return err
		}
	}
	_, err := b.sh(ctx, xl+" destroy "+name+"; rm -f "+file+"; gone "+name)
	return err
}

// migrate moves a guest to the same host while it runs. The guest itself tells how
// long it stood still: the longest gap between two of its ticks.
func (b *bench) migrate(ctx context.Context, row func(string, float64) metric, xl, name string) error {
	const tty = `$(xenstore-read /local/domain/$(xl domid %[1]s)/console/tty)`
	forget := fmt.Sprintf("sleep 1; echo gap >"+tty+"; sleep 0.2", name)
	if _, err := b.sh(ctx, forget); err != nil {
		return err
	}
	command := fmt.Sprintf("%[2]s migrate -s '' %[1]s '%[2]s migrate-receive'", name, xl)
	if err := b.measure(ctx, row("live migration of", 0.7), xl == oursXL, command); err != nil {
		return err
	}
	out, err := b.sh(ctx, fmt.Sprintf("timeout 30 grep -a -m1 -o 'longest gap [0-9]* ms' <"+tty, name))
	if err != nil {
		return fmt.Errorf("ask the guest how long it stood still: %w", err)
	}
	words := strings.Fields(out)
	if len(words) != 4 {
		return fmt.Errorf("the guest said %q", out)
	}
	ms, err := strconv.ParseUint(words[2], 10, 32)
	if err != nil {
		return fmt.Errorf("the guest said %q", out)
	}
	b.rows.add(row("pause in live migration of", 0.5), xl == oursXL, float64(ms))
	return nil
}
