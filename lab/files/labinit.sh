#!/bin/sh
# The first process of a lab's dom0: what a lab needs, and no more, in the
# order in which Xen's daemons want it. Options come from the kernel's command
# line: goxl.host=N, goxl.xenstored=oxenstored|xenstored.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LANG=C.UTF-8 TERM=vt100

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
ln -sf /proc/self/fd/1 /dev/stdout
ln -sf /proc/self/fd/2 /dev/stderr
exec </dev/null >/dev/hvc0 2>&1

option() {
	for word in $(cat /proc/cmdline); do
		case $word in "$1"=*) echo "${word#*=}"; return ;; esac
	done
	echo "$2"
}
number=$(option goxl.host 1)
daemon=$(option goxl.xenstored oxenstored)

mkdir -p /run/lock /run/sshd /run/xen /run/xenstored /run/xen-hotplug \
	/var/lock /var/log/xen /var/lib/xen/dump /var/lib/xen/xenpaging
echo "xen$number" >/proc/sys/kernel/hostname
ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
/usr/sbin/sshd -E /var/log/sshd.log &

modprobe -a xen-evtchn xen-gntdev xen-gntalloc xenfs xen-privcmd \
	xen-blkback xen-netback loop bridge tun ipv6
mount -t xenfs xenfs /proc/xen

xen=/usr/lib/xen-$(cat /sys/hypervisor/version/major).$(cat /sys/hypervisor/version/minor)/bin
[ -x "$xen/$daemon" ] || echo "goxl-lab: no $xen/$daemon"
case $daemon in
oxenstored) "$xen/oxenstored" --pid-file /run/xen/xenstored.pid ;;
*) "$xen/xenstored" --pid-file /run/xen/xenstored.pid ;;
esac
"$xen/xen-init-dom0"
"$xen/xenconsoled" --pid-file=/run/xen/xenconsoled.pid --log=none

ip link add xenbr0 type bridge forward_delay 0
for port in eth1 eth2; do
	[ -e /sys/class/net/$port ] || continue
	ip link set $port master xenbr0
	ip link set $port up
done
ip addr add "10.77.0.$number/24" dev xenbr0
ip link set xenbr0 up

[ ! -b /dev/vdb ] || { mkdir -p /mnt/payload && mount -o ro /dev/vdb /mnt/payload; }

echo "goxl-lab: host $number ready with $daemon"
# A shell on the console, for the day when the network is what is broken. The
# first process also buries whatever is left without a parent.
while :; do
	setsid -w -c bash -l </dev/hvc0 >/dev/hvc0 2>&1
	sleep 1
done
