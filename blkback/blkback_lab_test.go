package blkback_test

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goxl/blkback"
	"goxl/domains/host"
	"goxl/lab/dom0"
	"goxl/xenctrl/xentest"
	"goxl/xenstore"
)

// labWait is how long an emulated guest may take for a step.
const labWait = 4 * time.Minute

// script is what the guest runs, from a disk of the kernel's: it writes 256 KiB at random to
// another place of the disk in each round, reads it back past its cache, and keeps the
// disk busy besides.
const script = `
while :; do dd if=/dev/xvda of=/dev/null bs=4k count=32 iflag=direct 2>/dev/null; sleep 0.2; done &
n=0
while :; do
  n=$((n+1))
  dd if=/dev/urandom of=/tmp/d bs=64k count=4 2>/dev/null
  want=$(sha256sum </tmp/d)
  at=$((n % 24 * 16))
  dd if=/tmp/d of=/dev/xvda bs=64k seek=$at conv=fsync 2>/tmp/e || { echo "round $n BAD write"; cat /tmp/e; }
  echo 3 >/proc/sys/vm/drop_caches
  got=$(dd if=/dev/xvda bs=64k skip=$at count=4 2>/dev/null | sha256sum)
  if [ "$got" = "$want" ]; then echo "round $n ok"; else echo "round $n BAD $got $want"; fi
  case $(cat /proc/partitions) in *xvdd*) echo "disk xvdd is there" ;; esac
done
exit
`

// lab is a guest with a disk of ours, and the daemon that serves it.
type lab struct {
	*testing.T
	store   *xenstore.Client
	ours    dom0.Tool
	genuine dom0.Tool
	daemon  *exec.Cmd
	log     *os.File
	dir     string
	options []string // of the daemon, besides -v
	lines   chan string
}

// launch starts the daemon.
func (l *lab) launch() {
	l.Helper()
	l.daemon = exec.Command(filepath.Join(dom0.Getenv(l.T, "GOXL_BIN"), "blkback"), append(l.options, "-v")...)
	l.daemon.Stderr = l.log
	if err := l.daemon.Start(); err != nil {
		l.Fatal(err)
	}
}

// start starts the daemon and waits until it serves.
func (l *lab) start() {
	l.Helper()
	l.launch()
	h := host.New(host.DefaultPaths())
	for end := time.Now().Add(labWait); ; time.Sleep(50 * time.Millisecond) {
		if f, err := h.BlkbackFormats(); err != nil {
			l.Fatal(err)
		} else if f != nil {
			return
		}
		if time.Now().After(end) {
			l.Fatal("blkback does not come up")
		}
	}
}

// end ends the daemon with a signal and waits for it.
func (l *lab) end(s syscall.Signal) {
	l.Helper()
	if err := l.daemon.Process.Signal(s); err != nil {
		l.Fatal(err)
	}
	if err := l.daemon.Wait(); s == syscall.SIGTERM && err != nil {
		l.Errorf("blkback ended by SIGTERM: %v", err)
	}
}

// console sends the guest's lines to l.lines.
func (l *lab) console(name string) {
	l.Helper()
	id := strings.TrimSpace(l.genuine.Must(l.T, "domid", name))
	tty, err := l.store.Read(l.Context(), "/local/domain/"+id+"/console/tty")
	if err != nil {
		l.Fatal(err)
	}
	fd, err := unix.Open(tty, unix.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		l.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), tty)
	l.Cleanup(func() { f.Close() })
	l.lines = make(chan string, 10000)
	lines := l.lines
	go func() { // ends with the terminal
		for s := bufio.NewScanner(f); s.Scan(); {
			lines <- strings.TrimSpace(s.Text())
		}
		close(lines)
	}()
}

// await waits for n lines with text and returns the last of them. It fails at the first
// that says BAD.
func (l *lab) await(text string, n int) (line string) {
	l.Helper()
	timeout := time.After(labWait)
	for n > 0 {
		select {
		case s, ok := <-l.lines:
			if !ok {
				l.Fatal("the console ended")
			}
			if strings.Contains(s, "BAD") || strings.Contains(s, "I/O error") {
				l.Fatalf("the guest says %q", s)
			}
			if strings.Contains(s, text) {
				n--
				line = s
			}
		case <-timeout:
			l.Fatalf("the guest does not say %q; the daemon's log:\n%s", text, l.tail())
		}
	}
	return line
}

// settle drops the lines that are there.
func (l *lab) settle() {
	for {
		select {
		case <-l.lines:
		default:
			return
		}
	}
}

func (l *lab) tail() string {
	b, _ := os.ReadFile(l.log.Name())
	return string(b[max(0, len(b)-3000):])
}

func (l *lab) image(name, size string) string {
	l.Helper()
	path := filepath.Join(l.dir, name)
	dom0.Sh(l.T, "qemu-img create -q -f qcow2 "+path+" "+size)
	return path
}

func TestLabKillsPVH(t *testing.T) { labKills(t, "pvh") }

func TestLabKillsPV(t *testing.T) { labKills(t, "pv") }

// labKills runs a guest that checks its disk all the time, and kills the daemon four
// times meanwhile. Then the genuine tool lists, detaches and destroys.
func labKills(t *testing.T, kind string) {
	xentest.NeedXen(t)
	nothingLeft := dom0.Leftovers(t)
	store, err := xenstore.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	dir, err := os.MkdirTemp("", "blkback-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l := &lab{T: t, store: store, dir: dir}
	l.ours, l.genuine = dom0.Toolstacks(t)
	if l.log, err = os.Create(filepath.Join(dir, "daemon.log")); err != nil {
		t.Fatal(err)
	}
	defer l.log.Close()
	disk, spare := l.image("disk.qcow2", "32M"), l.image("spare.qcow2", "8M")
	name := "blkback-" + kind
	cfg := l.guestConfig(name, kind, script, disk+",qcow2,xvda,rw")
	l.start()
	defer func() {
		if l.daemon.ProcessState == nil {
			_ = l.daemon.Process.Kill()
			_ = l.daemon.Wait()
		}
		if t.Failed() {
			t.Logf("the daemon's log ends:\n%s", l.tail())
		}
	}()
	l.ours.Must(t, "create", "-q", cfg)
	destroyed := false
	defer func() {
		if !destroyed {
			l.genuine.Run(t, dom0.Patience, "destroy", name)
		}
	}()
	l.console(name)
	if out, err := exec.Command("pgrep", "-a", "qemu").Output(); err == nil {
		t.Errorf("a QEMU runs:\n%s", out)
	}
	l.await("ok", 2)
	for n := range 4 {
		l.end(syscall.SIGKILL)
		time.Sleep(time.Duration(n) * 300 * time.Millisecond)
		l.settle()
		l.start()
		l.await("ok", 2)
	}
	l.end(syscall.SIGTERM)
	l.start()
	l.await("ok", 2)
	out := dom0.Sh(t, filepath.Join(dom0.Getenv(t, "GOXL_BIN"), "blkback")+" --stats")
	var stats []blkback.Stats
	if err := json.Unmarshal([]byte(out), &stats); err != nil || len(stats) != 1 || stats[0].Write.Requests == 0 || stats[0].Errors+stats[0].Refused != 0 {
		t.Errorf("counted %s, %v", out, err)
	}

	list := l.genuine.Must(t, "block-list", name)
	if !strings.Contains(list, "/qdisk/") || !strings.Contains(list, "/vbd/") || strings.Count(list, " 4 ") < 2 {
		t.Errorf("the genuine block-list says\n%s", list)
	}
	l.ours.Must(t, "block-attach", name, "format=qcow2,vdev=xvdd,access=rw,target="+spare)
	l.await("xvdd is there", 1)
	l.genuine.Must(t, "block-detach", name, "xvdd")
	l.await("ok", 2)
	if list := l.genuine.Must(t, "block-list", name); strings.Contains(list, "51760") {
		t.Errorf("after the detach, block-list says\n%s", list)
	}
	l.genuine.Must(t, "destroy", name)
	destroyed = true
	nothingLeft()
	ctx, cancel := context.WithTimeout(t.Context(), labWait)
	defer cancel()
	for ; ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		if left, _ := filepath.Glob("/run/goxl/blkback/*.journal"); len(left) == 0 {
			break
		}
	}
	if left, _ := filepath.Glob("/run/goxl/blkback/*.journal"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	l.end(syscall.SIGTERM)
	// Killed between two writes, an image may have clusters that nothing uses (exit
	// status 3), but no errors.
	dom0.Sh(t, "qemu-img check -q "+spare+" && { qemu-img check "+disk+" || [ $? = 3 ]; }")
}
