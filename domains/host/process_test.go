package host_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"goxl/domains/host"
)

// proc is a process as /proc shows it.
type proc struct {
	pid           int
	args, environ []string
	want          string // its work for guest 7, "" for none
}

// The processes that work for a guest are found among others that look alike: a kill
// of the wrong one would be another guest's end.
func TestProcessesOf(t *testing.T) {
	h := testHost(t)
	h.Proc = t.TempDir()
	output := func(dom string) string { return "--output=" + filepath.Join(h.Lib, "bootloader."+dom+".out") }
	list := []proc{
		{100, []string{"qemu-system-i386", "-xen-domid", "7", "-nodefaults"}, nil, host.DeviceModel},
		{101, []string{"qemu-system-i386", "-xen-domid", "71"}, nil, ""},
		{102, []string{"qemu-system-i386", "-name", "7", "-xen-domid", "8"}, nil, ""},
		{103, []string{"qemu-system-i386", "-xen-domid"}, nil, ""},
		{104, []string{"grep", "-xen-domid 7"}, nil, ""},
		{110, []string{"pygrub", output("7"), "disk.img"}, nil, host.BootLoader},
		{111, []string{"pygrub", output("77"), "disk.img"}, nil, ""},
		{112, []string{"pygrub", "--output=/elsewhere/bootloader.7.out"}, nil, ""},
		{120, []string{"/bin/bash", "block"}, []string{"PATH=/bin", "XENBUS_PATH=backend/vbd/7/51712"}, host.HotplugScript},
		{121, []string{"/bin/bash", "block"}, []string{"XENBUS_PATH=backend/vbd/17/51712"}, ""},
		{122, []string{"/bin/bash", "block"}, []string{"XENBUS_PATH=backend/7/8/0"}, ""},
		{123, []string{"/bin/bash", "block"}, []string{"XENBUS_PATH=backend/vbd/7/51712/node"}, ""},
		{124, []string{"/bin/bash", "block"}, []string{"NOT_XENBUS_PATH=backend/vbd/7/0"}, ""},
		{125, nil, []string{"XENBUS_PATH=backend/vbd/7/51712"}, ""}, // of the kernel, or ended
	}
	var want []host.Process
	for _, p := range list {
		p.write(t, h.Proc)
		if p.want != "" {
			want = append(want, host.Process{PID: p.pid, What: p.want})
		}
	}
	// One that ended while we looked, and what is no process.
	for _, dir := range []string{"130", "7x", "self"} {
		if err := os.Mkdir(filepath.Join(h.Proc, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	got, err := h.ProcessesOf(7)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func (p *proc) write(t *testing.T, dir string) {
	t.Helper()
	dir = filepath.Join(dir, strconv.Itoa(p.pid))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, list := range map[string][]string{"cmdline": p.args, "environ": p.environ} {
		text := ""
		for _, s := range list {
			text += s + "\x00"
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A real process is found in the real /proc, and is gone from it when it has ended.
func TestProcessesOfThisHost(t *testing.T) {
	h := testHost(t)
	const dom = 31999 // no guest of this host, one hopes
	cmd := exec.Command("sleep", "60")
	cmd.Env = []string{"XENBUS_PATH=backend/vif/31999/0"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	want := []host.Process{{PID: cmd.Process.Pid, What: host.HotplugScript}}
	got, err := h.ProcessesOf(dom)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	cmd.Process.Kill()
	cmd.Wait()
	if got, err := h.ProcessesOf(dom); err != nil || len(got) != 0 {
		t.Errorf("after its end: %v, %v", got, err)
	}
}

// A name may hold anything, even what looks like the rest of the line.
func TestProcessStart(t *testing.T) {
	h := testHost(t)
	h.Proc = t.TempDir()
	rest := strings.Repeat(" 1", 18)
	for pid, tt := range map[int]struct {
		stat  string
		start uint64
		bad   bool
	}{
		1: {"1 (init) S" + rest + " 4711 5 6", 4711, false},
		2: {"2 (a) b) S 1 (2) S" + rest + " 4712 5 6", 4712, false},
		3: {"3 (short) S 1 2", 0, true},
		4: {"", 0, true},
		5: {"5 (x) S" + rest + " never 5 6", 0, true},
	} {
		p := proc{pid: pid}
		p.write(t, h.Proc)
		if err := os.WriteFile(filepath.Join(h.Proc, strconv.Itoa(pid), "stat"), []byte(tt.stat), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := h.ProcessStart(pid); got != tt.start || (err != nil) != tt.bad {
			t.Errorf("process %d began at %d, %v", pid, got, err)
		}
	}
	if _, err := h.ProcessStart(6); err == nil {
		t.Error("a process that is not there began")
	}
}
