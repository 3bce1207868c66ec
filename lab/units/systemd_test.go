package units_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goxl/lab/dom0"
)

// bootScript makes the namespaces' own views and becomes systemd. The group keeps dom0's
// processes out of systemd's.
const bootScript = `
umount /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t proc proc /proc
export container=goxl-lab SYSTEMD_UNIT_PATH=%[1]s/units SYSTEMD_GENERATOR_PATH=%[1]s/none SYSTEMD_ENVIRONMENT_GENERATOR_PATH=%[1]s/none
exec /usr/lib/systemd/systemd --system --unit=lab.target --log-target=console --show-status=no
`

// standardUnits are those that other units are ordered by.
var standardUnits = []string{"lab.target", "sysinit.target", "basic.target", "multi-user.target", "shutdown.target", "umount.target",
	"local-fs.target", "sockets.target", "timers.target", "paths.target", "slices.target", "network.target", "final.target", "emergency.target",
	"rescue.target", "exit.target"}

// systemd is a running one.
type systemd struct {
	t    *testing.T
	dir  string
	boot *exec.Cmd
	pid  int // of the manager, seen from dom0
}

const group = "/sys/fs/cgroup/goxl-units"

// startSystemd starts a manager that has the given units.
func startSystemd(t *testing.T, dir string, units ...string) *systemd {
	t.Helper()
	s := &systemd{t: t, dir: dir}
	if err := os.MkdirAll(filepath.Join(dir, "units"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, u := range standardUnits {
		s.write(u, "[Unit]\nDescription=Of every system\n")
	}
	for _, u := range units {
		b, err := os.ReadFile(u)
		if err != nil {
			t.Fatal(err)
		}
		s.write(filepath.Base(u), string(b))
	}
	dom0.Sh(t, "mountpoint -q /sys/fs/cgroup || mount -t cgroup2 cgroup2 /sys/fs/cgroup")
	dom0.Sh(t, "mkdir -p "+group+" && echo '+memory +pids +cpu +io' >/sys/fs/cgroup/cgroup.subtree_control; true")
	s.boot = exec.Command("unshare", "--cgroup", "--pid", "--mount", "--fork", "--kill-child", "sh", "-c", fmt.Sprintf(bootScript, dir))
	fd, err := os.Open(group)
	if err != nil {
		t.Fatal(err)
	}
	defer fd.Close()
	log, err := os.Create(filepath.Join(dir, "systemd.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.boot.Stdout, s.boot.Stderr = log, log
	s.boot.SysProcAttr = &unix.SysProcAttr{UseCgroupFD: true, CgroupFD: int(fd.Fd())}
	if err := s.boot.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.end)
	eventually(t, "systemd to be up", func() bool {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", s.boot.Process.Pid, s.boot.Process.Pid))
		s.pid, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		if s.pid == 0 {
			return false
		}
		out, err := s.command("is-system-running").Output()
		return err == nil && strings.TrimSpace(string(out)) == "running"
	})
	return s
}

// end kills the manager, and with it all that it started.
func (s *systemd) end() {
	if s.t.Failed() {
		b, _ := os.ReadFile(filepath.Join(s.dir, "systemd.log"))
		s.t.Logf("systemd said:\n%s", b)
	}
	_ = s.boot.Process.Kill()
	_ = s.boot.Wait()
	_ = os.RemoveAll("/run/systemd")
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if exec.Command("find", group, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";").Run() == nil {
			if _, err := os.Stat(group); err != nil {
				return
			}
		}
	}
	s.t.Errorf("%s stays", group)
}

func (s *systemd) write(unit, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, "units", unit)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// command is systemctl beside the manager.
func (s *systemd) command(args ...string) *exec.Cmd {
	in := []string{"-t", strconv.Itoa(s.pid), "-m", "-p", "-C", "systemctl", "--no-pager", "--plain"}
	return exec.Command("nsenter", append(in, args...)...)
}

// ctl runs systemctl, which must succeed.
func (s *systemd) ctl(args ...string) string {
	s.t.Helper()
	began := time.Now()
	out, err := s.command(args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("systemctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	s.t.Logf("systemctl %s: %s", strings.Join(args, " "), time.Since(began).Round(time.Millisecond))
	return strings.TrimSpace(string(out))
}

// property returns what a unit is said to be.
func (s *systemd) property(unit, name string) string {
	s.t.Helper()
	out, err := s.command("show", "--value", "-p", name, unit).Output()
	if err != nil {
		s.t.Fatalf("systemctl show %s: %v", unit, err)
	}
	return strings.TrimSpace(string(out))
}

// process finds the main process of a unit, as dom0 sees it.
func (s *systemd) process(unit string) (pid int) {
	s.t.Helper()
	inside := s.property(unit, "MainPID")
	all, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		s.t.Fatal(err)
	}
	here, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", s.pid))
	for _, path := range all {
		b, _ := os.ReadFile(path)
		if f := strings.Fields(field(string(b), "NSpid")); len(f) == 2 && f[1] == inside {
			ns, _ := os.Readlink(filepath.Join(filepath.Dir(path), "ns/pid"))
			if ns == here {
				pid, _ = strconv.Atoi(f[0])
				return pid
			}
		}
	}
	s.t.Fatalf("%s has no process %s", unit, inside)
	return 0
}

// field returns a line of a process's status.
func field(status, name string) string {
	for line := range strings.Lines(status) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(dom0.Patience); !ok(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s for %s", dom0.Patience, what)
		}
	}
}
