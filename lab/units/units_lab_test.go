package units_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"goxl/lab/dom0"
	"goxl/xenctrl/xentest"
)

// daemons are the programs, and what their units leave of root's capabilities.
var daemons = []struct {
	name         string
	capabilities string // CapEff, hexadecimal
}{
	{"consoled", "0000000000000000"},
	{"netback", "0000000000001000"}, // CAP_NET_ADMIN
	{"blkback", "0000000000000002"}, // CAP_DAC_OVERRIDE
}

func unit(name string) string { return "goxl-" + name + ".service" }

// TestLabUnits starts each daemon by its unit, has all serve a guest, restarts them
// under it, and kills them.
func TestLabUnits(t *testing.T) {
	xentest.NeedXen(t)
	if _, err := exec.LookPath("systemctl"); err != nil {
		t.Skip("no systemd in this image; Debian 13's has one")
	}
	dom0.InCoverOn(t, "4.20")
	dir := filepath.Join("/srv", fmt.Sprintf("goxl-units-%d", os.Getpid()))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	nothingLeft := dom0.Leftovers(t)
	dom0.Sh(t, "modprobe -r xen-netback; modprobe tun")
	t.Cleanup(func() { dom0.Sh(t, "modprobe xen-netback") })
	dom0.TakeConsoles(t)
	units := install(t)

	s := startSystemd(t, dir, units...)
	for _, d := range daemons {
		u := unit(d.name)
		s.write(u+".d/log.conf", "[Service]\nStandardError=append:"+dir+"/"+d.name+".log\n")
		t.Cleanup(func() {
			if b, err := os.ReadFile(dir + "/" + d.name + ".log"); err == nil && t.Failed() {
				t.Logf("%s said:\n%s", d.name, b)
			}
		})
	}
	s.ctl("daemon-reload")
	for _, d := range daemons { // start returns when the daemon has said that it is ready
		s.ctl("start", unit(d.name))
		if got := s.property(unit(d.name), "SubState"); got != "running" {
			t.Errorf("%s is %s after start", d.name, got)
		}
		s.checkPrivileges(d.name, d.capabilities)
	}

	w := dom0.NewWitness(t, dir, "witness", "10.77.0.78", 0)
	w.Await(2)
	for _, d := range daemons {
		before := s.process(unit(d.name))
		s.ctl("restart", unit(d.name))
		if s.process(unit(d.name)) == before {
			t.Errorf("%s is the same process after a restart", d.name)
		}
		w.Await(2)
	}
	for _, d := range daemons { // each comes again by itself
		before := s.process(unit(d.name))
		if err := unix.Kill(before, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, d.name+" to be started again", func() bool {
			return s.property(unit(d.name), "SubState") == "running" && s.property(unit(d.name), "NRestarts") == "1"
		})
		w.Await(2)
	}
	s.ctl("reload", unit("consoled"))
	w.Await(1)

	_, genuine := dom0.Toolstacks(t)
	genuine.Must(t, "destroy", "witness")
	for _, d := range daemons {
		s.ctl("stop", unit(d.name))
		if got := s.property(unit(d.name), "Result"); got != "success" {
			t.Errorf("%s stopped with result %s", d.name, got)
		}
	}
	nothingLeft()
}

// checkPrivileges holds that the process has no more than its unit says.
func (s *systemd) checkPrivileges(name, capabilities string) {
	s.t.Helper()
	pid := s.process(unit(name))
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		s.t.Fatal(err)
	}
	status := string(b)
	for key, want := range map[string]string{
		"CapEff": capabilities, "CapBnd": capabilities, "CapAmb": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2",
	} {
		if got := field(status, key); got != want {
			s.t.Errorf("%s: %s is %s, want %s", name, key, got, want)
		}
	}
	// Its root: what is not its business can be neither written nor opened.
	root := fmt.Sprintf("/proc/%d/root", pid)
	for _, path := range []string{"/usr/written", "/etc/written"} {
		if err := os.WriteFile(root+path, nil, 0o600); err == nil {
			os.Remove(root + path)
			s.t.Errorf("%s could write %s", name, path)
		}
	}
	group, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		s.t.Fatal(err)
	}
	if !strings.Contains(string(group), unit(name)) {
		s.t.Errorf("%s is in group %s", name, group)
	}
}

// install puts the programs where the units have them, and returns the units.
func install(t *testing.T) (units []string) {
	t.Helper()
	for _, d := range daemons {
		to := "/usr/local/bin/" + d.name
		dom0.Sh(t, "cp "+filepath.Join(dom0.Getenv(t, "GOXL_BIN"), d.name)+" "+to)
		t.Cleanup(func() { os.Remove(to) })
		units = append(units, filepath.Join(dom0.Getenv(t, "GOXL_BIN"), unit(d.name)))
	}
	return units
}
