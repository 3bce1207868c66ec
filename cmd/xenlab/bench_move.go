package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"goxl/lab/mini"
)

// movedMiB is how much memory the mini guests have that are moved.
const movedMiB = 64

// miniConfig is a shell command that writes the configuration of a mini guest.
func miniConfig(name, kind, options string, mib int) string {
	return fmt.Sprintf(`printf 'name="%%s"\ntype="%%s"\nkernel="%%s"\nextra="%%s"\nmemory=%%s\nvcpus=1\n' %s %s %s '%s' %d >/tmp/%s.cfg`,
		name, kind, mini.Path, options, mib, name)
}

// moves saves, restores and migrates a mini guest with one program.
func (b *bench) moves(ctx context.Context, xl, kind string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	const name, file = "moved", "/tmp/moved.save"
	setup := miniConfig(name, kind, "mini.dirty=400", movedMiB) + " && " + xl + " create -q /tmp/" + name + ".cfg && sleep 1"
	if _, err := b.host.Output(ctx, setup); err != nil {
		return err
	}
	type step struct{ op, command string }
	steps := []step{{"save", "save " + name + " " + file}, {"restore", "restore " + file}}
	if kind == "pvh" { // of a PV guest Debian's Xen cannot note what it writes
		steps = append(steps, step{"live migration, same host", fmt.Sprintf("migrate -s \"\" %s \"%s migrate-receive\"", name, xl)})
	}
	for _, s := range steps {
		op := fmt.Sprintf("%s %s, %d MiB", s.op, strings.ToUpper(kind), movedMiB)
		took, err := b.measure(ctx, xl+" "+s.command+" 2>/dev/null")
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		b.add(op, xl == oursXL, took)
	}
	_, err := b.host.Output(ctx, xl+" destroy "+name+"; rm -f "+file+"; sleep 1")
	return err
}
