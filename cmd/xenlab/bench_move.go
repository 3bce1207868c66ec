package main

import (
	"context"
	"fmt"
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

// moves saves and restores mini guests.
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

// move saves and restores one guest.
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
	_, err := b.sh(ctx, xl+" destroy "+name+"; rm -f "+file+"; gone "+name)
	return err
}
