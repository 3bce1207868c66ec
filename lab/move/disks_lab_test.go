package move

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writer is what the guest does with its disk, from another one: it fills places of it with
// noise, keeps the sums, and reads places back past its cache, the one it has just written
// and three others.
const writer = `
look() {
  [ -e /tmp/sum$1 ] || return
  echo 3 >/proc/sys/vm/drop_caches
  got=$(dd if=/dev/xvda bs=64k skip=$(($1 * 4)) count=4 2>/dev/null | sha256sum)
  [ "$got" = "$(cat /tmp/sum$1)" ] || echo "place $1 BAD"
}
n=0
while :; do
  n=$((n+1))
  at=$((n * 7 % 24))
  dd if=/dev/urandom of=/tmp/d bs=64k count=4 2>/dev/null
  sha256sum </tmp/d >/tmp/sum$at
  dd if=/tmp/d of=/dev/xvda bs=64k seek=$((at * 4)) conv=fsync,notrunc 2>/tmp/e || { echo "round $n BAD write"; cat /tmp/e; }
  for k in 0 5 11 17; do look $(((at + k) % 24)); done
  echo "round $n done"
done
`

// blkback starts the daemon on a host and waits until it serves.
func (s side) blkback(t *testing.T) {
	t.Helper()
	s.must(t, `setsid /opt/goxl/bin/blkback -v >>/root/blkback.log 2>&1 </dev/null &
n=0; until [ -S /run/goxl/blkback/mirror ] && grep -q '^formats' /run/goxl/blkback/lock; do sleep 0.2; n=$((n+1)); [ $n -lt 300 ] || exit 1; done`)
	t.Cleanup(func() { s.try(t, "pkill -x blkback; rm -f /root/blkback.log") })
}

// TestLabDisks moves a guest of Debian's kernel with its disks, to which it writes all the
// time, to another host; meanwhile the blkback here is killed and started again. There it
// goes on and finds all that it has written. A genuine receiver is refused before.
func TestLabDisks(t *testing.T) {
	here, there := hosts(t)
	const name, dir = "disks", "/root/disks"
	t.Cleanup(func() {
		clear(t, name, here, there)
		for _, s := range []side{here, there} {
			s.try(t, "rm -rf "+dir)
		}
	})
	here.must(t, "mkdir -p "+dir+"; qemu-img create -q -f qcow2 "+dir+"/disk.qcow2 16M")
	there.must(t, "mkdir -p "+dir)
	if err := os.WriteFile(dir+"/run.img", append([]byte(writer+"exit\n"), make([]byte, 1<<20-len(writer)-5)...), 0o600); err != nil {
		t.Fatal(err)
	}
	here.blkback(t)
	there.blkback(t)
	guest := os.Getenv("GOXL_GUEST")
	cfg := filepath.Join(t.TempDir(), name+".cfg")
	text := fmt.Sprintf("name=%q\ntype=\"pvh\"\nkernel=%q\nramdisk=%q\nmemory=128\nvcpus=1\nextra=\"console=hvc0 goxl.quiet goxl.run=/dev/xvdb\"\n"+
		"disk=[\"%s/disk.qcow2,qcow2,xvda,rw\", \"format=raw,vdev=xvdb,access=ro,backendtype=qdisk,target=%s/run.img\"]\n",
		name, guest+"/vmlinuz", guest+"/initrd.img", dir, dir)
	if err := os.WriteFile(cfg, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	here.must(t, here.tool(false)+" create "+cfg)
	if said := here.listen(t, name, "", "round .*done|BAD", 2); strings.Contains(said, "BAD") {
		t.Fatal(said)
	}
	out, err := here.try(t, here.migrate(false, "--with-disks ", name, there, true)+" 2>&1")
	if err == nil || !strings.Contains(err.Error(), "xvda ("+dir+"/disk.qcow2) cannot go along: the other side has the genuine xl") {
		t.Errorf("to the genuine xl: %v\n%s", err, out)
	}
	if left := there.must(t, "ls -A "+dir); left != "" {
		t.Errorf("there is %s", left)
	}
	// The daemon is killed as soon as the copy has begun.
	begin := time.Now()
	out = here.must(t, `(n=0; until grep -q "copy of a disk begins" /root/blkback.log || [ $n -gt 600 ]; do sleep 0.1; n=$((n+1)); done
pkill -9 -x blkback; sleep 1; exec setsid /opt/goxl/bin/blkback -v >>/root/blkback.log 2>&1 </dev/null) >/dev/null 2>&1 &
`+here.migrate(false, "--with-disks --timeline ", name, there, false)+" 2>&1")
	t.Logf("moved in %s:\n%s", time.Since(begin).Round(time.Second), out)
	for _, want := range []string{"disks, round 1", "Disk xvda goes along", "Disk xvdb goes along", "What was disk xvda stays here", "blkback has ended meanwhile"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if said := there.listen(t, name, "", "round .*done|BAD", 6); strings.Contains(said, "BAD") {
		t.Errorf("there it says\n%s", said)
	}
	if left := here.domains(t, name); len(left) > 0 {
		t.Errorf("here is %v", left)
	}
	if n := running(there.domains(t, name)); n != 1 {
		t.Errorf("there run %d", n)
	}
	there.must(t, there.tool(false)+" destroy "+name)
	if left := there.must(t, "ls -A "+dir+" | tr '\\n' ' '"); left != "disk.qcow2 run.img" {
		t.Errorf("there is %s", left)
	}
	there.must(t, "cd "+dir+" && { qemu-img check -q disk.qcow2 || [ $? = 3 ]; }")
	if sums := [2]string{here.must(t, "sha256sum < "+dir+"/run.img"), there.must(t, "sha256sum < "+dir+"/run.img")}; sums[0] != sums[1] {
		t.Errorf("the disk that is only read is another there: %v", sums)
	}
}
