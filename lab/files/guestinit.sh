#!/bin/busybox sh
# First program of a lab's guests. Options on the guest kernel's command line:
# goxl.ip=ADDRESS/BITS gives eth0 an address, goxl.run=FILE runs a file of the
# initramfs or of a disk, goxl.quiet leaves no shell on the console.
/bin/busybox mkdir -p /proc /sys /dev /bin /sbin /mnt /tmp /run /root
/bin/busybox --install -s /bin
export PATH=/sbin:/bin HOME=/root PS1='guest# ' TERM=vt100
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
printf '#!/bin/busybox sh\nexec /bin/busybox poweroff -f\n' >/sbin/poweroff
printf '#!/bin/busybox sh\nexec /bin/busybox reboot -f\n' >/sbin/reboot
chmod +x /sbin/poweroff /sbin/reboot
for module in $(cat /modules/order); do
	insmod "/modules/$module" || echo "goxl-guest: cannot load $module"
done
run= quiet=
for word in $(cat /proc/cmdline); do
	case $word in
	goxl.ip=*) address=${word#*=} ;;
	goxl.run=*) run=${word#*=} ;;
	goxl.quiet) quiet=yes ;;
	esac
done
ip link set lo up
if [ -e /sys/class/net/eth0 ]; then
	ip link set eth0 up
	[ -z "$address" ] || ip addr add "$address" dev eth0
fi
echo "goxl-guest ready: Linux $(uname -r), $(nproc) vcpus, $(awk '/MemTotal/{print $2}' /proc/meminfo) KiB"
[ -z "$run" ] || sh "$run"
while :; do
	if [ -n "$quiet" ]; then sleep 3600; else setsid cttyhack sh; fi
	sleep 1
done
