package main

import (
	"context"
	"fmt"

	"goxl/lab"
)

// A guest of Debian's kernel answers pings while it is moved. It has no disk, which
// would have to be shared.
const (
	seenAddress = "10.77.0.78"
	seenConfig  = `sed -e '/^disk/d' -e 's/^name .*/name="seen"/' -e 's,^extra.*,extra="console=hvc0 goxl.ip=` + seenAddress + `/24",' /opt/goxl/examples/pvh.cfg >/tmp/seen.cfg`
	seenUp      = "for i in $(seq 120); do ping -c1 -W1 -q " + seenAddress + " >/dev/null && exit 0; done; echo the guest answers no ping >&2; exit 1"

	pingBegin = "setsid ping -D -n -i 0.02 " + seenAddress + " </dev/null >/tmp/ping.log 2>&1 &"
	pingEnd   = "sleep 1; pkill -INT -x ping; sleep 0.5; " +
		`awk '/bytes from/ {t = substr($1, 2, length($1) - 2); if (n++ && t - last > gap) gap = t - last; last = t} END {printf "%d %.0f", n, gap * 1000}' /tmp/ping.log`
)

// seenFromOutside moves a guest there and back, and writes down for how long nobody
// heard of it: the longest time between two answers to pings of the first host.
func (b *bench) seenFromOutside(ctx context.Context) error {
	here, other := b.hosts[0], b.hosts[1]
	if _, err := b.on(ctx, here, seenConfig+" && "+oursXL+" create -q /tmp/seen.cfg && "+seenUp); err != nil {
		return err
	}
	for i := range b.rounds {
		for _, xl := range b.turn(i) {
			for _, leg := range [][2]*lab.Host{{here, other}, {other, here}} {
				gap, err := b.seenLeg(ctx, leg[0], leg[1], xl)
				if err != nil {
					return fmt.Errorf("migrate a guest that answers pings by %s: %w", xl, err)
				}
				b.rows.add(metric{op: "longest time without an answer to pings, live migration of Debian's PVH guest, 192 MiB, over " + plainWay, unit: "ms", target: 0.5},
					xl == oursXL, gap)
			}
		}
	}
	_, err := b.on(ctx, here, oursXL+" destroy seen; gone seen")
	return err
}

func (b *bench) seenLeg(ctx context.Context, from, to *lab.Host, xl string) (gap float64, err error) {
	if _, err := b.on(ctx, b.host, pingBegin); err != nil {
		return 0, err
	}
	_, err = b.on(ctx, from, "us "+xl+" migrate "+wayOptions("seen", plainWay, xl, to))
	out, perr := b.on(ctx, b.host, pingEnd)
	if err != nil {
		return 0, err
	}
	var answers int
	if perr == nil {
		_, perr = fmt.Sscan(out, &answers, &gap)
	}
	if perr == nil && answers < 20 {
		perr = fmt.Errorf("it answered %d pings", answers)
	}
	return gap, perr
}
