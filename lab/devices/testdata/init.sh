#!/bin/bash
# First program of the root disk. Each line that says BAD fails the test. Options on the
# kernel's command line: echo=PORT and long=PORT of the host.
export PATH=/usr/bin:/bin:/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /tmp
for word in $(cat /proc/cmdline); do
	case $word in echo=* | long=*) eval "$word" ;; esac
done
host=10.77.0.1
ip link set lo up
ip link set eth0 up
ip addr add 10.77.0.78/24 dev eth0
echo "root is $(awk '$2 == "/" && $3 != "rootfs" {print $1, $3, substr($4, 1, 2)}' /proc/mounts)"

# One connection from the beginning to the end.
nc $host $long </dev/null | sha256sum | { read -r sum _; echo "long $sum"; } &

# Connections one after the other: what is sent comes back.
(
	n=0
	while [ ! -e /tmp/stop ]; do
		n=$((n + 1))
		head -c 60000 /dev/urandom >/tmp/sent
		if [ "$(nc $host $echo </tmp/sent | sha256sum)" = "$(sha256sum </tmp/sent)" ]; then
			echo "net $n ok"
		else
			echo "net $n BAD"
		fi
	done
) &

# fill FILE: write random data to it, make them last, and read them back from the disk.
fill() {
	local sum got
	head -c 131072 /dev/urandom >/tmp/data
	sum=$(sha256sum </tmp/data)
	sum=${sum%% *}
	cp /tmp/data "$1" && sync "$1" || echo "write of $1 BAD"
	echo 3 >/proc/sys/vm/drop_caches
	got=$(sha256sum <"$1")
	if [ "${got%% *}" = "$sum" ]; then
		echo "disk $1 $sum ok"
	else
		echo "disk $1 $got BAD"
	fi
}

# second: write to a file system on a second disk, and check.
second() {
	local n file
	mount -t ext4 /dev/xvdb /mnt || { echo "second disk BAD"; return; }
	echo "second disk is mounted"
	for n in $(seq 6); do
		file=/mnt/more$n
		head -c 500000 /dev/urandom >/tmp/more
		cp /tmp/more $file && sync $file || { echo "second write BAD"; break; }
		echo 3 >/proc/sys/vm/drop_caches
		cmp /tmp/more $file || echo "second data BAD"
		echo "second $n ok"
	done
	umount /mnt && echo "second disk is unmounted"
}

n=0
while [ ! -e /tmp/stop ]; do
	n=$((n + 1))
	fill "/data/f$((n % 20))"
	if [ -e /sys/block/xvdb ] && [ ! -e /tmp/second ]; then
		touch /tmp/second
		second &
	fi
	[ -e /sys/block/xvdb ] || rm -f /tmp/second
done
wait
mount -o remount,ro / && echo "root is clean"
busybox poweroff -f
