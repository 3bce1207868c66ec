#!/bin/busybox sh
# First program of dom0's initramfs: loads what the root disk needs and goes there.
/bin/busybox mkdir -p /proc /sys /dev /root /bin
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
for module in $(cat /modules/order); do
	insmod "/modules/$module" || echo "goxl-lab: cannot load $module"
done
tries=0
until [ -b /dev/vda ] || [ $tries -ge 100 ]; do
	tries=$((tries + 1))
	usleep 100000
done
mount -t ext4 -o rw,noatime /dev/vda /root || { echo "goxl-lab: cannot mount the root disk"; sleep 5; }
mount --move /dev /root/dev
umount /proc
exec switch_root /root /labinit
