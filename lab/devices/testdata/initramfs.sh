#!/bin/busybox sh
# First program of the guest's initramfs, in place of the lab's: goes to the root disk.
/bin/busybox mkdir -p /proc /dev /root /bin /sbin
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
for module in $(cat /modules/order); do
	insmod "/modules/$module" || echo "BAD: cannot load $module"
done
tries=0
until [ -b /dev/xvda ] || [ $tries -ge 300 ]; do
	tries=$((tries + 1))
	usleep 100000
done
mount -t ext4 -o rw,noatime /dev/xvda /root || echo "BAD: no root disk"
mount --move /dev /root/dev
umount /proc
exec switch_root /root /sbin/init
