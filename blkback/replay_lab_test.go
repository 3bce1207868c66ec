//go:build linux

package blkback_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"goxl/lab/dom0"
	"goxl/xenctrl/xentest"
	"goxl/xenstore"
)

// replayScript writes one thing and then another to the same place, past all caches.
const replayScript = `
put() {
  (echo "$1"; cat /dev/zero) | dd bs=4096 count=1 iflag=fullblock of=/tmp/d 2>/dev/null
  dd if=/tmp/d of=/dev/xvda bs=4096 seek=16 count=1 oflag=direct conv=notrunc 2>/tmp/e || { echo "$1 BAD"; cat /tmp/e; }
  echo "$1 is answered"
}
put mark-old
put mark-new
dd if=/dev/xvda bs=4096 skip=16 count=1 iflag=direct 2>/dev/null | head -n 1 | sed 's/^/the guest reads /'
exit
`

// TestLabOldDataNeverReturn has a disk with a limit, so that a worker of the daemon
// writes: the killed process cannot end before its write.
func TestLabOldDataNeverReturn(t *testing.T) {
	oldData(t, true, func(l *lab) string {
		rules := filepath.Join(l.dir, "disks.conf")
		if err := os.WriteFile(rules, []byte("* * write-iops=1000000\n"), 0o600); err != nil {
			l.Fatal(err)
		}
		l.options = []string{"--policy", rules}
		return "/dev/nbd0"
	})
}

// TestLabOldDataNeverReturnToDevice has a block device, to which the kernel writes by
// itself (io_uring): the process may be gone, but not the lock that it had for this disk.
func TestLabOldDataNeverReturnToDevice(t *testing.T) {
	oldData(t, false, func(*lab) string { return "/dev/nbd0" })
}

// TestLabOldDataNeverReturnToFile is the same with a raw file and the lock of that.
func TestLabOldDataNeverReturnToFile(t *testing.T) {
	oldData(t, false, func(l *lab) string {
		at := filepath.Join(l.dir, "fs")
		dom0.Sh(l.T, fmt.Sprintf("mkfs.ext4 -q -F -b 4096 /dev/nbd0 && mkdir %[1]s && mount /dev/nbd0 %[1]s && "+
			"dd if=/dev/zero of=%[1]s/disk bs=1M count=8 status=none && sync", at))
		l.Cleanup(func() { dom0.Sh(l.T, "umount "+at) })
		return at + "/disk"
	})
}

// oldData kills the daemon while a write of its is held back inside the kernel, and
// starts the next one. That must not do the write once more before the first is over:
// the guest, once answered, writes to the same place again, and the first write would
// come after that. Stays says that the killed process cannot end before its write.
func oldData(t *testing.T, stays bool, prepare func(l *lab) (target string)) {
	xentest.NeedXen(t)
	dom0.InCoverOn(t, "4.17")
	store, err := xenstore.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	dir := t.TempDir()
	l := &lab{T: t, store: store, dir: dir}
	l.ours, l.genuine = dom0.Toolstacks(t)
	if l.log, err = os.Create(filepath.Join(dir, "daemon.log")); err != nil {
		t.Fatal(err)
	}
	defer l.log.Close()
	d := newSlowDisk(t, 32<<20, "mark-old\n", "mark-new\n")
	target := prepare(l)
	cfg := l.guestConfig("blkback-replay", "pvh", replayScript, "format=raw,vdev=xvda,access=rw,backendtype=qdisk,target="+target)
	l.start()
	defer func() { _ = l.daemon.Process.Kill() }()
	defer d.free()
	l.ours.Must(t, "create", "-q", cfg)
	defer l.genuine.Run(t, dom0.Patience, "destroy", "blkback-replay")
	l.console("blkback-replay")
	if name := l.comes(d); name != "mark-old\n" {
		t.Fatalf("the first marked write is %q", name)
	}

	first := l.daemon
	if err := first.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() { gone <- first.Wait() }()
	l.launch()
	if stays {
		eventually(t, "the second daemon to wait", func() bool { return strings.Contains(l.tail(), "waiting for another blkback") })
	}
	for late := time.After(5 * time.Second); late != nil; {
		select {
		case name := <-d.came:
			t.Fatalf("%q was written beside the write that is held", name)
		case s := <-l.lines:
			if strings.Contains(s, "answered") {
				t.Fatalf("the guest says %q; the disk saw %q; the daemons' log:\n%s", s, d.order(), l.tail())
			}
		case <-late:
			late = nil
		}
	}
	select {
	case <-gone:
		if stays {
			t.Fatal("the killed process is gone, though a write of its is held: the test shows nothing")
		}
		t.Log("the killed process was gone before its write")
		gone <- nil
	default:
	}

	d.free()
	<-gone
	if name := l.comes(d); name != "mark-old\n" {
		t.Errorf("the second daemon begins with %q", name)
	}
	l.await("mark-old is answered", 1)
	l.await("mark-new is answered", 1)
	l.await("the guest reads mark-new", 1)
	time.Sleep(2 * time.Second) // for anything that is late
	now := dom0.Sh(t, "dd if="+target+" iflag=direct bs=4096 skip=16 count=1 status=none | head -n 1")
	if order := d.order(); now != "mark-new\n" || !slices.Equal(order, []string{"mark-old\n", "mark-old\n", "mark-new\n"}) {
		t.Errorf("the disk has %q after the writes %q", now, order)
	}
	l.genuine.Must(t, "destroy", "blkback-replay")
	l.end(syscall.SIGTERM)
}

// comes is the next marked write.
func (l *lab) comes(d *slowDisk) string {
	l.Helper()
	select {
	case name := <-d.came:
		return name
	case <-time.After(labWait):
		l.Fatalf("no marked write comes; the daemon's log:\n%s", l.tail())
	}
	return ""
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(labWait); !f(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// guestConfig writes the configuration of a guest that runs a script, and has disks.
func (l *lab) guestConfig(name, kind, script string, disks ...string) string {
	l.Helper()
	run, cfg := filepath.Join(l.dir, "run.img"), filepath.Join(l.dir, "guest.cfg")
	guest := dom0.Getenv(l.T, "GOXL_GUEST")
	text := fmt.Sprintf("name=%q\ntype=%q\nkernel=%q\nramdisk=%q\nmemory=192\nvcpus=1\nextra=\"console=hvc0 goxl.quiet goxl.run=/dev/xvdc\"\ndisk=[",
		name, kind, guest+"/vmlinuz", guest+"/initrd.img")
	for _, d := range append(disks, run+",raw,xvdc,ro") {
		text += fmt.Sprintf("%q, ", d)
	}
	for path, data := range map[string][]byte{run: append([]byte(script), make([]byte, 1<<20-len(script))...), cfg: []byte(text + "]\n")} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			l.Fatal(err)
		}
	}
	return cfg
}
