package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"goxl/lab/suite"
)

// What the backends of network interfaces carry. The guest stays and cannot tell whose
// backend it has: its interface is detached, the backend changed, and it is attached
// again.

// netAsks are what is measured in each turn: the arguments of lab/load. A backend may
// take 1.43 times as long as the kernel's, which is to carry 0.7 of what that carries.
var netAsks = []struct{ op, ask string }{
	{"netback, TCP from the guest, 4 MiB", "source 10.77.0.77:7000 4194304"},
	{"netback, TCP to the guest, 4 MiB", "sink 10.77.0.77:7000 4194304"},
	{"netback, TCP from the guest, 32 MiB", "source 10.77.0.77:7000 33554432"},
	{"netback, TCP to the guest, 32 MiB", "sink 10.77.0.77:7000 33554432"},
	{"netback, 1000 datagrams of 64 bytes there and back, 32 at a time", "echo 10.77.0.77:7000 1000 64 32"},
	{"netback, 200 datagrams of 64 bytes there and back, one by one", "echo 10.77.0.77:7000 200 64 1"},
}

const netTarget = 1.43

// netSetup makes the guest, without an interface. Its disk has a script, which looks
// after an interface that comes and goes, and behind it the program.
const netSetup = `
load=/opt/goxl/net/bin/load
cat >/tmp/loaded.img <<END
dd if=/dev/xvda of=/tmp/load bs=4096 skip=1 count=$(( ($(stat -c %s $load) + 4095) / 4096 )) 2>/dev/null
chmod +x /tmp/load
while :; do
	if [ -e /sys/class/net/eth0 ] && ! ip addr show dev eth0 | grep -q 10.77.0.77; then
		ip addr add 10.77.0.77/24 dev eth0
		ip link set eth0 up
	fi
	sleep 1
done &
sleep 1
exec /tmp/load listen 0.0.0.0:7000
END
truncate -s 4096 /tmp/loaded.img
cat $load >>/tmp/loaded.img
truncate -s %4096 /tmp/loaded.img
cat >/tmp/loaded.cfg <<END
name = "loaded"
type = "pvh"
kernel = "/opt/guest/vmlinuz"
ramdisk = "/opt/guest/initrd.img"
extra = "console=hvc0 goxl.run=/dev/xvda goxl.quiet"
memory = 192
vcpus = 1
disk = ["/tmp/loaded.img,raw,xvda,ro"]
END
set -e
modprobe tun
xl create -q /tmp/loaded.cfg
`

// netBackend are shell functions: one of the backends begins to serve, or the one that
// does ends, with its interface detached.
const netBackend = `
begin() {
	if [ $1 = ours ]; then
		modprobe -r xen-netback
		/opt/goxl/net/bin/netback --state-dir /run/goxl/netback-bench </dev/null >/dev/null 2>/tmp/netback-bench.log &
		echo $! >/tmp/netback-bench.pid
		sleep 1
	else
		modprobe xen-netback
	fi
	xl network-attach loaded bridge=xenbr0 mac=00:16:3e:00:00:77
}
end() {
	xl network-detach loaded 0
	[ $1 != ours ] || kill $(cat /tmp/netback-bench.pid)
}
`

// carry measures what goes through our netback and through the kernel's.
func (b *bench) carry(ctx context.Context) (err error) {
	if err := b.installLoad(ctx); err != nil {
		return err
	}
	if _, err := b.sh(ctx, netSetup); err != nil {
		return fmt.Errorf("make the guest: %w", err)
	}
	defer func() {
		_, e := b.sh(ctx, "xl destroy loaded; modprobe xen-netback; rm -f /tmp/loaded.*; gone loaded")
		err = errors.Join(err, e)
	}()
	for i := range b.rounds {
		for _, xl := range b.turn(i) {
			whose := "kernel"
			if xl == oursXL {
				whose = "ours"
			}
			if err := b.carryBy(ctx, whose); err != nil {
				return fmt.Errorf("with the backend %s: %w", whose, err)
			}
		}
	}
	return nil
}

// installLoad puts the programs into dom0.
func (b *bench) installLoad(ctx context.Context) error {
	module, err := moduleDir()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "goxl-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := suite.Programs(ctx, module, dir, "./cmd/netback", "./lab/load"); err != nil {
		return err
	}
	return b.host.Put(ctx, dir, "/opt/goxl/net")
}

// carryBy measures one backend, once each: what comes first warms it up.
func (b *bench) carryBy(ctx context.Context, whose string) error {
	var script strings.Builder
	script.WriteString(netBackend + "set -e\nbegin " + whose + "\n/opt/goxl/net/bin/load sink 10.77.0.77:7000 1048576 >/dev/null\n")
	for _, a := range netAsks {
		script.WriteString("/opt/goxl/net/bin/load " + a.ask + "\n")
	}
	if whose == "ours" {
		script.WriteString("awk '/^Private_Dirty/ {print $2}' /proc/$(cat /tmp/netback-bench.pid)/smaps_rollup\n")
	}
	script.WriteString("end " + whose)
	out, err := b.sh(ctx, script.String())
	if err != nil {
		return err
	}
	words := strings.Fields(out)
	if len(words) < len(netAsks) {
		return fmt.Errorf("%d of %d figures: %q", len(words), len(netAsks), out)
	}
	for i, w := range words {
		n, err := strconv.ParseUint(w, 10, 63)
		switch {
		case err != nil:
			return fmt.Errorf("figure %d: %w", i+1, err)
		case i < len(netAsks):
			b.rows.add(metric{op: netAsks[i].op, unit: "ms", target: netTarget}, whose == "ours", float64(n)/1000)
		default:
			b.rows.add(metric{op: "netback, memory of the process with one vif", unit: "KiB"}, true, float64(n))
		}
	}
	return nil
}
