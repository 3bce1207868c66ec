package devices_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"goxl/lab/dom0"
)

// onward is what both daemons log when they serve on for one that was killed.
const onward = "serves on for a process that ended"

// daemon is one of ours that is killed and started again.
type daemon struct {
	t    *testing.T
	name string
	args []string
	log  *os.File
	cmd  *exec.Cmd
}

// startDaemon starts a daemon that is killed at the test's end.
func startDaemon(t *testing.T, dir, name string, args ...string) *daemon {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{t: t, name: name, args: args, log: log}
	d.start()
	t.Cleanup(func() {
		d.kill()
		if t.Failed() {
			text := d.said()
			t.Logf("%s said at last:\n%s", name, text[max(0, len(text)-4000):])
		}
		log.Close()
	})
	return d
}

func (d *daemon) start() {
	d.t.Helper()
	d.cmd = exec.Command(filepath.Join(dom0.Getenv(d.t, "GOXL_BIN"), d.name), append([]string{"-v"}, d.args...)...)
	d.cmd.Stderr = d.log
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
}

// kill kills the daemon as nothing can be handled.
func (d *daemon) kill() {
	if d.cmd.ProcessState == nil {
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait()
	}
}

// stop ends the daemon in peace.
func (d *daemon) stop() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Error(err)
	}
	if err := d.cmd.Wait(); err != nil {
		d.t.Errorf("%s ended with %v", d.name, err)
	}
}

func (d *daemon) said() string {
	text, err := os.ReadFile(d.log.Name())
	if err != nil {
		d.t.Error(err)
	}
	return string(text)
}

// await waits until the daemon has said something so many times.
func (d *daemon) await(text string, times int) {
	d.t.Helper()
	eventually(d.t, d.name+" to say "+text, func() bool { return strings.Count(d.said(), text) >= times })
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(dom0.Patience); !f(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
