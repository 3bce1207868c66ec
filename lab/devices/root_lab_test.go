package devices_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goxl/lab/dom0"
	"goxl/xenctrl/xentest"
)

// TestLabRootOnOurs has a guest with Debian's kernel run from a qcow2 disk of our
// blkback, with its network through our netback, and kills both daemons again and
// again while it writes and reads files and talks over TCP. After a clean shutdown
// the image, its file system and all files must be what the guest said.
func TestLabRootOnOurs(t *testing.T) {
	xentest.NeedXen(t)
	dom0.InCoverOn(t, "4.17")
	r := newRoot(t)
	for n := range 3 {
		r.killBoth(time.Duration(n) * 150 * time.Millisecond)
	}
	r.end()
}

// root is the guest under test with all that it hangs on.
type root struct {
	*testing.T
	dir       string
	ours      dom0.Tool
	genuine   dom0.Tool
	peer      *peer
	blk, net  *daemon
	guest     *guest
	kills     int
	reattach  int // disks that blkback has to serve on, over all kills
	disks     int
	unchanged func()
}

func newRoot(t *testing.T) *root {
	t.Helper()
	keepKernelOut(t)
	dir, err := os.MkdirTemp("/var/tmp", "devices-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &root{T: t, dir: dir, disks: 1, unchanged: dom0.Leftovers(t)}
	r.ours, r.genuine = dom0.Toolstacks(t)
	makeRoot(t, dir)
	r.peer = startPeer(t)
	policy := filepath.Join(dir, "disks.conf")
	if err := os.WriteFile(policy, []byte("root xvdb full=pause\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.blk, r.net = startDaemon(t, dir, "blkback", "--policy", policy), startDaemon(t, dir, "netback")
	r.blk.await("serving disks", 1)
	r.guest = startGuest(t, r.ours, dir, "root", "pvh", r.peer)
	r.guest.await("root is /dev/xvda ext4 rw")
	if out, err := exec.Command("pgrep", "-a", "qemu").Output(); err == nil {
		t.Errorf("a QEMU runs:\n%s", out)
	}
	if out := dom0.Sh(t, "ip -d link show master xenbr0"); !strings.Contains(out, "tun type tap") {
		t.Errorf("no tap of ours is on the bridge:\n%s", out)
	}
	r.guest.await("disk ", "net ")
	return r
}

// killBoth kills both daemons in the middle of I/O, lets the guest wait for the time
// given, and starts them again.
func (r *root) killBoth(pause time.Duration) {
	r.Helper()
	r.blk.kill()
	r.net.kill()
	r.kills++
	r.reattach += r.disks
	time.Sleep(pause)
	r.blk.start()
	r.net.start()
	r.blk.await(onward, r.reattach)
	r.net.await(onward, r.kills)
	r.guest.settle()
	r.guest.await("disk ", "net ")
}

// end shuts the guest down and compares what is on its disk with what it has said.
func (r *root) end() {
	r.Helper()
	r.peer.finish()
	sent := <-r.peer.sum
	if got := r.guest.await("long "); got != "long "+sent {
		r.Errorf("of the connection over all kills the guest says %q, want the checksum %s", got, sent)
	}
	r.ours.Must(r.T, "shutdown", "-w", r.guest.name)
	clean := false
	for s := range r.guest.lines {
		r.guest.note(s)
		clean = clean || s == "root is clean"
	}
	if !clean {
		r.Error("the guest did not end cleanly")
	}
	r.unchanged()
	r.blk.stop()
	r.net.stop()
	if left, _ := filepath.Glob("/run/goxl/blkback/*.journal"); len(left) > 0 {
		r.Errorf("left: %v", left)
	}
	r.compare()
}

// compare looks at the image from outside.
func (r *root) compare() {
	r.Helper()
	image, raw, at := filepath.Join(r.dir, "root.qcow2"), filepath.Join(r.dir, "root.raw"), filepath.Join(r.dir, "mnt")
	// Killed between two writes, an image may have clusters that nothing uses (exit
	// status 3), but no errors.
	dom0.Sh(r.T, fmt.Sprintf("qemu-img check %[1]s || [ $? = 3 ] && qemu-img convert -O raw %[1]s %[2]s && e2fsck -fn %[2]s", image, raw))
	dom0.Sh(r.T, fmt.Sprintf("mkdir -p %[1]s && mount -o loop,ro,noload %[2]s %[1]s", at, raw))
	defer dom0.Sh(r.T, "umount "+at)
	if len(r.guest.sums) < 3 {
		r.Errorf("the guest has written %d files only", len(r.guest.sums))
	}
	for path, want := range r.guest.sums {
		b, err := os.ReadFile(filepath.Join(at, path))
		if got := fmt.Sprintf("%x", sha256.Sum256(b)); err != nil || got != want {
			r.Errorf("%s has the checksum %s, the guest said %s: %v", path, got, want, err)
		}
	}
	r.Logf("%d files of 128 KiB are whole after %d kills", len(r.guest.sums), r.kills)
}

// keepKernelOut unloads the kernel's network backend until the test ends.
func keepKernelOut(t *testing.T) {
	t.Helper()
	dom0.Sh(t, "modprobe -r xen-netback; modprobe -a tun loop")
	t.Cleanup(func() {
		if out, err := exec.Command("modprobe", "xen-netback").CombinedOutput(); err != nil {
			t.Errorf("modprobe xen-netback: %v %s", err, out)
		}
	})
}
