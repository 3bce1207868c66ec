package devices_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"goxl/blkback"
	"goxl/lab/dom0"
	"goxl/xenctrl/xentest"
)

// fireTime is how long the long form goes on.
const fireTime = 10 * time.Minute

// TestLabRootUnderFire is TestLabRootOnOurs for ten minutes, in which besides a second
// disk comes and goes whose image has no room on the host for a while, and the memory of
// the guest and of the host shrinks and grows.
func TestLabRootUnderFire(t *testing.T) {
	xentest.NeedXen(t)
	if !dom0.Full() {
		t.Skip("takes more than ten minutes: xenlab test --full has it")
	}
	dom0.InCoverOn(t, "4.17")
	r := newRoot(t)
	end := time.Now().Add(fireTime)
	for n := 0; n < 4 || time.Now().Before(end); n++ {
		switch n % 4 {
		case 0:
			r.secondDisk()
		case 1:
			r.squeeze()
		default:
			r.killBoth(time.Duration(rand.N(2000)) * time.Millisecond)
		}
	}
	r.end()
}

// squeeze takes a third of the guest's memory away, and nearly all that domain 0 has
// free, while the daemons are killed.
func (r *root) squeeze() {
	r.Helper()
	r.ours.Must(r.T, "mem-set", r.guest.name, "128m")
	relieve := r.starve()
	r.killBoth(0)
	r.guest.await("disk ", "net ")
	r.genuine.Must(r.T, "mem-set", r.guest.name, "192m")
	r.killBoth(time.Second)
	relieve()
}

// starving is how much memory domain 0 keeps, so that its kernel has to find some for
// each page of the daemons', and need not kill anybody for it.
const starving = 96 << 20

// starve fills domain 0's memory until relieve is called, or the test ends.
func (r *root) starve() (relieve func()) {
	r.Helper()
	at := filepath.Join(r.dir, "ballast")
	relieve = sync.OnceFunc(func() { dom0.Sh(r.T, "umount "+at) })
	r.Cleanup(relieve)
	dom0.Sh(r.T, fmt.Sprintf(`sync; mkdir -p %[1]s; mount -t tmpfs -o size=100%% tmpfs %[1]s
fallocate -l $(($(awk '/^MemAvailable/ {print $2 * 1024}' /proc/meminfo) - %[2]d)) %[1]s/ballast`, at, starving))
	r.Logf("domain 0 starves:\n%s", dom0.Sh(r.T, "free -m"))
	return relieve
}

// secondDisk attaches a disk whose image soon finds no room on the host. The guest's
// writes wait, also over a kill, until there is room; then the disk is detached.
func (r *root) secondDisk() {
	r.Helper()
	dir := filepath.Join(r.dir, "small")
	image, ballast := filepath.Join(dir, "second.qcow2"), filepath.Join(dir, "ballast")
	dom0.Sh(r.T, fmt.Sprintf("mkdir -p %[1]s && mount -t tmpfs -o size=16m tmpfs %[1]s && cd %[1]s && truncate -s 12M raw && mkfs.ext4 -q -F raw && "+
		"qemu-img convert -f raw -O qcow2 raw second.qcow2 && rm raw && fallocate -l $(($(df -B1 --output=avail . | tail -n 1) - 1200000)) ballast", dir))
	defer dom0.Sh(r.T, "umount -l "+dir) // lazily: after a failure the image is in use
	r.ours.Must(r.T, "block-attach", r.guest.name, "format=qcow2,vdev=xvdb,access=rw,target="+image)
	r.guest.await("second disk is mounted")
	r.disks = 2
	r.awaitStall()
	r.killBoth(time.Second)
	r.awaitStall() // of the requests that the next process took over
	if err := os.Remove(ballast); err != nil {
		r.Fatal(err)
	}
	r.guest.await("second 6 ok", "second disk is unmounted")
	r.genuine.Must(r.T, "block-detach", r.guest.name, "xvdb")
	r.disks = 1
	eventually(r.T, "blkback to close the second disk", func() bool { return len(r.stats()) == 1 })
	dom0.Sh(r.T, "qemu-img check "+image+" || [ $? = 3 ]")
}

// awaitStall waits until a write has found no room.
func (r *root) awaitStall() {
	r.Helper()
	eventually(r.T, "a write to find no room", func() bool {
		for _, s := range r.stats() {
			if s.Stalled > 0 {
				return true
			}
		}
		return false
	})
}

func (r *root) stats() (all []blkback.Stats) {
	r.Helper()
	out := dom0.Sh(r.T, filepath.Join(dom0.Getenv(r.T, "GOXL_BIN"), "blkback")+" --stats")
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		r.Fatalf("%s: %v", out, err)
	}
	return all
}
