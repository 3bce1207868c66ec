package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"goxl/lab/suite"
)

// spanMiB is how much of each disk is used. All lie in memory of dom0, so that only
// what serves them counts.
const spanMiB = 24

// diskWork is one row's work, in words of lab/diskload.
type diskWork struct{ name, flags string }

var diskWorks = []diskWork{
	{"read 24 MiB, 1 MiB each", "-size 1048576 -count 24"},
	{"write 24 MiB, 1 MiB each", "-write -size 1048576 -count 24"},
	{"read 4 KiB at random, one at a time", "-random -count 100"},
	{"write 4 KiB at random, one at a time", "-random -write -count 100"},
	{"read 4 KiB at random, 32 at a time", "-random -depth 32 -count 640"},
	{"write 4 KiB at random, 32 at a time", "-random -write -depth 32 -count 640"},
}

// diskPair is a disk of ours and one to compare it with, of guests "ours" and "qemu".
// The kernel's disks are the first guest's, too. Like is compared with like: both past
// dom0's page cache, as blkback has it by default, or both through it, as loop devices and
// Debian's QEMU for Xen have it (which has no asynchronous I/O and refuses direct-io-safe).
type diskPair struct {
	name   string
	ours   string
	rival  string
	guest  string // that has the rival
	target float64
}

var diskPairs = []diskPair{
	{"raw file past the cache, the kernel's by loop", "xvda", "xvdf", "disks-ours", 1},
	{"raw file in the cache, the kernel's by loop", "xvdg", "xvdc", "disks-ours", 1},
	{"raw file in the cache, QEMU", "xvdg", "xvda", "disks-qemu", 0.83},
	{"qcow2 in the cache, QEMU", "xvdb", "xvdb", "disks-qemu", 0.83},
	{"block device, the kernel's", "xvdd", "xvde", "disks-ours", 1},
}

// diskSetup makes the disks on a file system in memory, starts blkback, and makes both
// guests.
const diskSetup = `set -e
modprobe brd rd_nr=3 rd_size=262144
mkfs.ext4 -q -F -b 4096 -O ^has_journal /dev/ram0
mkdir -p /tmp/disks
mount /dev/ram0 /tmp/disks
cd /tmp/disks
head -c %[1]dM /dev/urandom >ours.raw
qemu-img convert -O qcow2 ours.raw ours.qcow2
for name in cached kernel direct qemu; do cp ours.raw $name.raw; done; cp ours.qcow2 qemu.qcow2
printf '* xvdb cache=host\n* xvdg cache=host\n' >/tmp/disks.conf
direct=$(losetup --direct-io=on -f --show direct.raw)
dd if=ours.raw of=/dev/ram1 bs=1M status=none; dd if=ours.raw of=/dev/ram2 bs=1M status=none
mkdir load; cp /opt/goxl/bin/diskload load/
(cd load; echo diskload | busybox cpio -o -H newc 2>/dev/null) >load.cpio
cat /opt/guest/initrd.img load.cpio >/tmp/load.img
rm -r load load.cpio
(setsid /opt/goxl/bin/blkback --policy /tmp/disks.conf >/tmp/blkback.log 2>&1 </dev/null &)
config() { printf 'name="%%s"\ntype="pvh"\nkernel="/opt/guest/vmlinuz"\nramdisk="/tmp/load.img"\nextra="console=hvc0 quiet"\nmemory=160\nvcpus=1\ndisk=[%%s]\n' "$1" "$2"; }
config disks-ours "'format=raw,vdev=xvda,backendtype=qdisk,target=/tmp/disks/ours.raw','format=qcow2,vdev=xvdb,target=/tmp/disks/ours.qcow2','format=raw,vdev=xvdc,target=/tmp/disks/kernel.raw','format=raw,vdev=xvdd,backendtype=qdisk,target=/dev/ram1','format=raw,vdev=xvde,target=/dev/ram2','format=raw,vdev=xvdf,target=$direct','format=raw,vdev=xvdg,backendtype=qdisk,target=/tmp/disks/cached.raw'" >/tmp/disks-ours.cfg
config disks-qemu "'format=raw,vdev=xvda,backendtype=qdisk,target=/tmp/disks/qemu.raw','format=qcow2,vdev=xvdb,target=/tmp/disks/qemu.qcow2'" >/tmp/disks-qemu.cfg
for i in $(seq 100); do /opt/goxl/bin/blkback --stats >/dev/null 2>&1 && break; sleep 0.1; done
%[2]s create -q /tmp/disks-ours.cfg
%[3]s create -q /tmp/disks-qemu.cfg
for name in disks-ours disks-qemu; do
	timeout 240 grep -a -m1 'goxl-guest ready' <$(xenstore-read /local/domain/$(%[3]s domid $name)/console/tty)
done
`

// disks measures what serves the disks of guests: blkback, the kernel's backend and
// QEMU. The guests themselves say how long the same work takes.
func (b *bench) disks(ctx context.Context) error {
	if err := b.putDiskPrograms(ctx); err != nil {
		return err
	}
	if _, err := b.sh(ctx, fmt.Sprintf(diskSetup, spanMiB, oursXL, b.genuine)); err != nil {
		return fmt.Errorf("set up guests with disks: %w", err)
	}
	n := 0
	for range min(b.rounds, 2) { // each has 60 pieces of work
		for _, w := range diskWorks {
			for _, p := range diskPairs {
				row := metric{op: w.name + "; " + p.name, unit: "ms", target: p.target}
				for _, ours := range []bool{n%2 == 0, n%2 == 1} {
					guest, disk := p.guest, p.rival
					if ours {
						guest, disk = "disks-ours", p.ours
					}
					took, err := b.diskLoad(ctx, guest, disk, w.flags)
					if err != nil {
						return fmt.Errorf("%s: %w", row.op, err)
					}
					b.rows.add(row, ours, took)
				}
				n++
			}
		}
	}
	return b.weighDisks(ctx)
}

// putDiskPrograms builds what only this part needs.
func (b *bench) putDiskPrograms(ctx context.Context) error {
	module, err := moduleDir()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "xenlab-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := suite.Programs(ctx, module, dir, "./cmd/blkback", "./lab/diskload"); err != nil {
		return err
	}
	for _, name := range []string{"blkback", "diskload"} {
		if err := b.host.Put(ctx, filepath.Join(dir, "bin", name), "/opt/goxl/bin/"); err != nil {
			return err
		}
	}
	return nil
}

// diskLoad has a guest do some work and returns how many milliseconds it took.
func (b *bench) diskLoad(ctx context.Context, guest, disk, flags string) (float64, error) {
	b.asked++
	out, err := b.sh(ctx, fmt.Sprintf(`tty=$(xenstore-read /local/domain/$(%s domid %s)/console/tty)
echo "/diskload %s -span %d -tag t%d /dev/%s" >$tty
timeout 120 grep -a -m1 -o 'diskload t%[5]d took [0-9]* us\|^diskload:.*' <$tty`, b.genuine, guest, flags, spanMiB<<20, b.asked, disk))
	if err != nil {
		return 0, fmt.Errorf("guest %s does not say how long it took: %w", guest, err)
	}
	words := strings.Fields(out)
	if len(words) != 5 {
		return 0, fmt.Errorf("guest %s says %q", guest, out)
	}
	us, err := strconv.ParseUint(words[3], 10, 63)
	if err != nil {
		return 0, fmt.Errorf("guest %s says %q", guest, out)
	}
	return float64(us) / 1000, nil
}

// manyDisks is how many idle disks are weighed, all of one guest.
const manyDisks = 50

// idleSeconds is how long their idleness is looked at.
const idleSeconds = 20

// weighDisks asks how much memory blkback needs for disks that are connected and idle:
// all that is in memory, pages shared with others in equal parts.
func (b *bench) weighDisks(ctx context.Context) error {
	out, err := b.sh(ctx, fmt.Sprintf(`set -e
for name in disks-ours disks-qemu; do %[1]s destroy $name; gone $name; done
losetup -D
weigh() { awk '/^Pss:/ {print $2}' /proc/$(pgrep -x blkback)/smaps_rollup; }
kill $(pgrep -x blkback); for i in $(seq 100); do pgrep -x blkback >/dev/null || break; sleep 0.1; done
(setsid /opt/goxl/bin/blkback >>/tmp/blkback.log 2>&1 </dev/null &)
for i in $(seq 100); do /opt/goxl/bin/blkback --stats >/dev/null 2>&1 && break; sleep 0.1; done
truncate -s 4M /tmp/disks/idle0.raw
disks="'format=raw,vdev=xvda,backendtype=qdisk,target=/tmp/disks/idle0.raw'"
for i in $(seq 1 %[2]d); do
	truncate -s 4M /tmp/disks/idle$i.raw
	disks="$disks,'format=raw,vdev=d${i}p0,backendtype=qdisk,target=/tmp/disks/idle$i.raw'"
done
printf 'name="disks-many"\ntype="pvh"\nkernel="/opt/guest/vmlinuz"\nramdisk="/tmp/load.img"\nextra="console=hvc0 quiet"\nmemory=192\nvcpus=1\ndisk=[%%s]\n' "$disks" >/tmp/disks-many.cfg
sleep 2
weigh
%[3]s create -q /tmp/disks-many.cfg
connected() { ls /run/goxl/blkback | grep -c journal || true; } # one for each disk
for i in $(seq 240); do [ $(connected) -lt %[4]d ] || break; sleep 1; done
[ $(connected) = %[4]d ]
requests() { /opt/goxl/bin/blkback --stats | grep '"requests"' | cksum; }
for i in $(seq 20); do before=$(requests); sleep 15; [ "$before" != "$(requests)" ] || break; done # the guest has come up
used() { awk '{print ($14 + $15) * 10}' /proc/$(pgrep -x blkback)/stat; }
before=$(used)
sleep %[5]d
echo $(($(used) - before))
weigh
%[1]s destroy disks-many; gone disks-many
kill $(pgrep -x blkback); sleep 1
umount /tmp/disks; rmmod brd`, b.genuine, manyDisks-1, oursXL, manyDisks, idleSeconds))
	if err != nil {
		return fmt.Errorf("weigh blkback with %d disks: %w", manyDisks, err)
	}
	var none, used, many float64
	if _, err := fmt.Sscan(out, &none, &used, &many); err != nil {
		return fmt.Errorf("weigh %q: %w", out, err)
	}
	b.rows.add(metric{op: fmt.Sprintf("memory of blkback with %d idle disks", manyDisks), unit: "KiB", target: 64 << 10, own: true}, true, many)
	b.rows.add(metric{op: "the same for each disk", unit: "KiB", target: 1 << 10, own: true}, true, (many-none)/manyDisks)
	b.rows.add(metric{op: fmt.Sprintf("processor time of blkback with them, idle for %d s", idleSeconds), unit: "ms"}, true, used)
	return nil
}
