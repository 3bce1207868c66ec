package hostile_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"goxl/lab/dom0"
	"goxl/lab/hostile"
	"goxl/xenstore"
)

// daemon is one of ours under attack.
type daemon struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	log  string
	fds  int // before the attack
}

func startDaemon(t *testing.T, dir, name string, args ...string) *daemon {
	t.Helper()
	d := &daemon{t: t, name: name, log: filepath.Join(dir, name+".log")}
	log, err := os.Create(d.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	d.cmd = exec.Command(filepath.Join(dom0.Getenv(t, "GOXL_BIN"), name), args...)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if d.cmd.ProcessState == nil {
			_ = d.cmd.Process.Kill()
			_ = d.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", name, strings.Join(d.lines(), "\n"))
		}
	})
	return d
}

// stop ends the daemon in peace, which shows that it lived until now.
func (d *daemon) stop() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Errorf("%s: %v", d.name, err)
		return
	}
	if err := d.cmd.Wait(); err != nil {
		d.t.Errorf("%s ended by SIGTERM: %v", d.name, err)
	}
}

// lines is what the daemon has logged.
func (d *daemon) lines() []string {
	b, _ := os.ReadFile(d.log)
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

// complaints returns how many warnings about a domain were logged, and how many times
// something was wrong by what they count.
func (d *daemon) complaints(dom string) (told, counted int) {
	for _, line := range d.lines() {
		at := strings.Index(line, "{")
		if at < 0 || !strings.Contains(line, "WARN") {
			continue
		}
		var v struct {
			Dom   json.Number
			Error string
			Since int `json:"more_since"`
			Times int
		}
		if json.Unmarshal([]byte(line[at:]), &v) != nil || v.Dom.String() != dom {
			continue
		}
		told++
		counted += v.Since + v.Times
		if v.Error != "" && v.Times == 0 {
			counted++
		}
	}
	return told, counted
}

// memory returns a line of the process's status, in KiB.
func (d *daemon) memory(key string) int {
	d.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatalf("%s is gone: %v", d.name, err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, key+":"); ok {
			n, _ := strconv.Atoi(strings.Fields(v)[0])
			return n
		}
	}
	d.t.Fatalf("%s: no %s in its status", d.name, key)
	return 0
}

func (d *daemon) files() int {
	d.t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatalf("%s is gone: %v", d.name, err)
	}
	return len(list)
}

// initramfs makes the hostile guest's: that of all guests with other modules and one
// more program, which is this test's binary. Linux takes archives one after the other.
func initramfs(t *testing.T, dir string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tree, file := filepath.Join(dir, "tree"), filepath.Join(dir, "initrd.img")
	dom0.Sh(t, fmt.Sprintf(`set -e
mkdir -p %[1]s/modules
for m in xen-evtchn xen-gntalloc; do
	from="/lib/modules/$(uname -r)/kernel/drivers/xen/$m.ko"
	if [ -e "$from" ]; then cp "$from" %[1]s/modules/; else busybox unxz -c "$from.xz" >%[1]s/modules/$m.ko; fi
	echo $m.ko >>%[1]s/modules/order
done
cp %[2]s %[1]s/%[3]s
printf 'echo 1 >/proc/sys/kernel/printk\nexec /%[3]s\n' >%[1]s/hostile.sh
cat %[4]s/initrd.img >%[5]s
cd %[1]s
find . | busybox cpio -o -H newc >>%[5]s
rm -r %[1]s`, tree, self, hostile.Program, dom0.Getenv(t, "GOXL_GUEST"), file))
	return file
}

// broadcast sends packets to all guests while one of them wants some, until the test
// ends.
func broadcast(t *testing.T, id string) {
	t.Helper()
	c, err := net.Dial("udp", "10.77.0.255:9")
	if err != nil {
		t.Fatal(err)
	}
	store, err := xenstore.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done; store.Close(); c.Close() })
	go func() {
		defer close(done)
		pause := time.NewTicker(25 * time.Millisecond)
		defer pause.Stop()
		for n := 0; ctx.Err() == nil; {
			if wanted, _ := store.Exists(ctx, "/local/domain/"+id+"/"+hostile.PacketsNode); !wanted {
				time.Sleep(250 * time.Millisecond)
				continue
			}
			for range 10 {
				_, _ = c.Write(make([]byte, 20+n*37%1400))
				n++
				<-pause.C
			}
		}
	}()
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(dom0.Patience); !ok(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s for %s", dom0.Patience, what)
		}
	}
}
