package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"goxl/lab"
)

// wayFile is a program that runs a command on the other host without encryption: as
// ssh does it, but for the port, which says which command.
const wayFile = "/tmp/plain-way"

// Each host has one of these for each command that the other may run on it. A
// connection is closed by the end of the command, not by that of its input.
const listen = "setsid socat -b 131072 -t 600 TCP-LISTEN:%d,fork,reuseaddr EXEC:'%s' </dev/null >/dev/null 2>&1 &\n"

const wayScript = `#!/bin/sh
host=$1; shift
case "$*" in *--offer*) port=7803;; %s\ *) port=7801;; *) port=7802;; esac
exec socat -b 131072 -t 600 - TCP:$host:$port
`

// How a guest gets to the other host.
const (
	plainWay = "a plain way"
	sshWay   = "ssh"
	ownWay   = "its own way"
)

// wayOptions are the words of "xl migrate" that move a guest in such a way.
func wayOptions(name, way, xl string, to *lab.Host) string {
	receiver := fmt.Sprintf("10.77.0.%d %s migrate-receive", to.Number, xl)
	switch way {
	case plainWay:
		return fmt.Sprintf("-s '' %s '%s %s'", name, wayFile, receiver)
	case ownWay:
		return fmt.Sprintf("--streams=2 -s '' %s 'ssh %s'", name, receiver)
	}
	return fmt.Sprintf("-s '' %s 'ssh %s'", name, receiver)
}

// travel is a guest that is moved between the hosts, again and again.
type travel struct {
	name, load string // of the rows; KiB a second that it writes
	mib        int
}

var travels = []travel{
	{"idle", "0", 64},
	{"that writes 8 MiB/s", "8192", 64},
}

// betweenHosts migrates guests to the second host and back, by each program, over a
// command without encryption and over ssh, and by ours over connections of its own.
func (b *bench) betweenHosts(ctx context.Context) error {
	if err := b.layWay(ctx); err != nil {
		return err
	}
	for i := range b.rounds {
		for _, t := range travels {
			for _, way := range []string{plainWay, sshWay} {
				for _, xl := range b.turn(i) {
					if err := b.there(ctx, t, way, xl); err != nil {
						return err
					}
				}
			}
			if err := b.there(ctx, t, ownWay, oursXL); err != nil {
				return err
			}
		}
	}
	return b.seenFromOutside(ctx)
}

// layWay makes the way without encryption, both ways.
func (b *bench) layWay(ctx context.Context) error {
	script := "cat >" + wayFile + " <<'END'\n" + fmt.Sprintf(wayScript, regexp.QuoteMeta(oursXL)) + "END\nchmod +x " + wayFile + "\npkill -x socat\n" +
		fmt.Sprintf(listen, 7801, oursXL+" migrate-receive") +
		fmt.Sprintf(listen, 7802, b.genuine+" migrate-receive") +
		fmt.Sprintf(listen, 7803, oursXL+" migrate-receive --offer")
	for _, h := range b.hosts {
		if _, err := b.on(ctx, h, script); err != nil {
			return err
		}
	}
	return nil
}

// there moves a guest there and back, and writes down how long that took and how long
// the guest stood still. The guest tells the latter by the time of day, in which two
// hosts differ by what a way back takes off again.
func (b *bench) there(ctx context.Context, t travel, way, xl string) error {
	const name = "traveller"
	here, other := b.hosts[0], b.hosts[1]
	setup := miniConfig(name, "pvh", "mini.tick=1 mini.dirty="+t.load, t.mib) + " && " + oursXL + " create -q /tmp/" + name + ".cfg && sleep 2"
	if _, err := b.on(ctx, here, setup); err != nil {
		return err
	}
	var took, still float64
	for _, leg := range [][2]*lab.Host{{here, other}, {other, here}} {
		ms, gap, err := b.leg(ctx, leg[0], leg[1], name, way, xl)
		if err != nil {
			return fmt.Errorf("migrate a guest %s over %s by %s: %w", t.name, way, xl, err)
		}
		took, still = took+ms/2, still+gap/2
	}
	if _, err := b.on(ctx, here, oursXL+" destroy "+name+"; gone "+name); err != nil {
		return err
	}
	b.addTravel(t, way, xl == oursXL, took, still)
	return nil
}

// leg moves the guest once and returns the milliseconds that took, and those in which
// the guest stood still.
func (b *bench) leg(ctx context.Context, from, to *lab.Host, name, way, xl string) (took, still float64, err error) {
	if _, err := b.on(ctx, from, fmt.Sprintf("echo gap >$(xenstore-read /local/domain/$(%s domid %s)/console/tty); sleep 0.3", oursXL, name)); err != nil {
		return 0, 0, err
	}
	out, err := b.on(ctx, from, "us "+xl+" migrate "+wayOptions(name, way, xl, to))
	if err != nil {
		return 0, 0, err
	}
	us, err := strconv.ParseUint(strings.TrimSpace(out), 10, 63)
	if err != nil {
		return 0, 0, fmt.Errorf("the command's time is %q", out)
	}
	out, err = b.on(ctx, to, fmt.Sprintf("timeout 60 grep -a -m1 -o 'longest gap [0-9]* ms' <$(xenstore-read /local/domain/$(%s domid %s)/console/tty)", oursXL, name))
	var gap float64
	if err == nil {
		_, err = fmt.Sscanf(out, "longest gap %f ms", &gap)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("ask the guest how long it stood still, which said %q: %w", out, err)
	}
	return float64(us) / 1000, gap, nil
}

// addTravel adds the samples to the rows. What ours takes on its own way is compared
// with what the genuine tool takes over ssh.
func (b *bench) addTravel(t travel, way string, ours bool, took, still float64) {
	add := func(way string, target float64) {
		op := fmt.Sprintf("live migration of a PVH guest %s, %d MiB, over %s", t.name, t.mib, way)
		b.rows.add(metric{op: op, unit: "ms", target: target}, ours, took)
		b.rows.add(metric{op: "pause in " + op, unit: "ms", target: 0.5}, ours, still)
	}
	if way != ownWay {
		add(way, 0.7)
	}
	if way == ownWay || way == sshWay && !ours {
		add(ownWay+", against ssh", 0.1)
	}
}
