package blkback_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"goxl/lab/dom0"
	"goxl/xenctrl/xentest"
	"goxl/xenstore"
)

// formatsScript writes to each disk, reads it back past the cache, and says what is there.
const formatsScript = `
for d in xvda xvdb xvdd xvde; do
  n=0
  until [ -b /dev/$d ] || [ $n -ge 100 ]; do n=$((n+1)); usleep 100000; done
  dd if=/dev/urandom of=/tmp/d bs=64k count=4 2>/dev/null
  want=$(sha256sum </tmp/d)
  dd if=/tmp/d of=/dev/$d bs=64k conv=fsync 2>/tmp/e || { echo "$d BAD write"; cat /tmp/e; }
  echo 3 >/proc/sys/vm/drop_caches
  got=$(dd if=/dev/$d bs=64k count=4 2>/dev/null | sha256sum)
  [ "$got" = "$want" ] || echo "$d BAD $got $want"
  echo "$d holds $got"
done
exit
`

// TestLabFormats has one guest use a raw file, a qcow2 and a VHD image of ours, and a
// disk of qemu-nbd's, and QEMU's tools say what is in them.
func TestLabFormats(t *testing.T) {
	xentest.NeedXen(t)
	store, err := xenstore.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	l := &lab{T: t, store: store, dir: t.TempDir()}
	l.ours, l.genuine = dom0.Toolstacks(t)
	if l.log, err = os.Create(filepath.Join(l.dir, "daemon.log")); err != nil {
		t.Fatal(err)
	}
	defer l.log.Close()
	type image struct{ vdev, format, qemu, options string }
	images := []image{
		{"xvda", "raw", "raw", "-f raw"},
		{"xvdb", "qcow2", "qcow2", "-f qcow2"},
		{"xvdd", "vhd", "vpc", "-f vpc -o subformat=fixed,force_size=on"},
	}
	var disks []string
	for _, i := range images {
		path := filepath.Join(l.dir, i.vdev)
		dom0.Sh(t, "qemu-img create -q "+i.options+" "+path+" 8M")
		disks = append(disks, "format="+i.format+",vdev="+i.vdev+",access=rw,backendtype=qdisk,target="+path)
	}
	disks = append(disks, "format=raw,vdev=xvde,access=rw,backendtype=qdisk,target="+serveNBD(l, filepath.Join(l.dir, "xvde")))
	images = append(images, image{"xvde", "raw", "raw", ""})
	const name = "blkback-formats"
	cfg := l.guestConfig(name, "pvh", formatsScript, disks...)
	l.start()
	defer func() { _ = l.daemon.Process.Kill() }()
	l.ours.Must(t, "create", "-q", cfg)
	defer l.genuine.Run(t, dom0.Patience, "destroy", name)
	l.console(name)
	said := map[string]string{}
	for _, i := range images {
		line := l.await(i.vdev+" holds", 1)
		said[i.vdev] = line[strings.LastIndex(line, "holds ")+len("holds "):]
	}
	l.genuine.Must(t, "destroy", name)
	l.end(syscall.SIGTERM)
	for _, i := range images {
		path := filepath.Join(l.dir, i.vdev)
		out := dom0.Sh(t, "qemu-img convert -U -f "+i.qemu+" -O raw "+path+" "+path+".raw && head -c 262144 "+path+".raw | sha256sum")
		if out = strings.TrimSpace(out); out != said[i.vdev] {
			t.Errorf("the %s image holds %s, the guest said %s", i.format, out, said[i.vdev])
		}
	}
}

// serveNBD has QEMU's server serve a new raw file, and returns where.
func serveNBD(l *lab, path string) (uri string) {
	l.Helper()
	socket := path + ".sock"
	dom0.Sh(l.T, "truncate -s 8M "+path)
	cmd := exec.Command("qemu-nbd", "--persistent", "--shared=2", "-f", "raw", "-x", "disk", "-k", socket, path)
	cmd.Stderr = l.log
	if err := cmd.Start(); err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	eventually(l.T, "qemu-nbd's socket", func() bool { _, err := os.Stat(socket); return err == nil })
	return "nbd+unix:///disk?socket=" + socket
}
