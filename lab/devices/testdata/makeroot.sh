# makeroot.sh DIR: make DIR/root.qcow2, a root disk of busybox and some of dom0's Debian,
# and DIR/initrd.img, which goes there.
set -e
cd "$1"
mkdir -p root/bin root/sbin root/dev root/proc root/sys root/tmp root/data root/mnt
busybox=$(command -v busybox)
cp "$busybox" root/bin/busybox
for applet in $(busybox --list); do [ "$applet" = busybox ] || ln -s busybox "root/bin/$applet"; done
for name in bash sha256sum head cp cmp sync cat rm sleep touch; do
	file=$(command -v $name)
	case $file in
	/bin/*) # of a system where /bin is not /usr/bin
		mkdir -p root/usr/bin
		cp -L "$file" "root/usr/bin/$name" ;;
	*) cp -L --parents "$file" root ;;
	esac
	ldd "$file" | grep -o '/[^ ]*' | while read -r lib; do [ -e "root$lib" ] || cp -L --parents "$lib" root; done
done
[ -e root/usr/bin/bash ]
rm -f root/bin/bash
ln -s /usr/bin/bash root/bin/bash
install -m 755 "$SOURCE/init.sh" root/sbin/init
printf '#!/bin/bash\ntouch /tmp/stop\n' >root/sbin/poweroff
chmod 755 root/sbin/poweroff
truncate -s 96M root.raw
mkfs.ext4 -q -F -d root root.raw
qemu-img convert -f raw -O qcow2 root.raw root.qcow2
rm -r root root.raw

mkdir ram
install -m 755 "$SOURCE/initramfs.sh" ram/init
(cd ram && echo init | busybox cpio -o -H newc) >init.cpio
cat "$GOXL_GUEST/initrd.img" init.cpio >initrd.img
rm -r ram init.cpio
