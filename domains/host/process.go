package host

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ProcessStart returns when process pid began, in clock ticks since the host's
// boot: with it a process id names one process only. Source: proc(5), field 22 of
// /proc/PID/stat, behind a name that may hold anything.
func (h *Host) ProcessStart(pid int) (uint64, error) {
	path := filepath.Join(h.Proc, strconv.Itoa(pid), "stat")
	b, err := h.ReadFile(path)
	if err != nil {
		return 0, err
	}
	const field = 22 - 3 // counted from the one behind the name
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) <= field {
		return 0, fmt.Errorf("%s: %.80q makes no sense", path, b)
	}
	return strconv.ParseUint(string(f[field]), 10, 64)
}

// The signals that end a process: by asking, and at once.
const (
	HangUpSignal = syscall.SIGHUP
	KillSignal   = syscall.SIGKILL
)

// What a process does for a guest.
const (
	DeviceModel   = "device model"
	BootLoader    = "boot loader"
	HotplugScript = "hotplug script"
)

// Process is a process that works for a guest.
type Process struct {
	PID  int
	What string // DeviceModel and the like
}

// ProcessesOf returns the processes that work for guest dom, whoever started them:
// its QEMU, its boot loader, and the hotplug scripts of its devices. One that ends
// meanwhile is left out.
func (h *Host) ProcessesOf(dom DomID) ([]Process, error) {
	dirs, err := h.Glob(filepath.Join(h.Proc, "[0-9]*"))
	if err != nil {
		return nil, err
	}
	var list []Process
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if what := h.workOf(dir, dom); what != "" {
			list = append(list, Process{pid, what})
		}
	}
	return list, nil
}

// workOf tells what the process in dir does for dom; "" for nothing.
func (h *Host) workOf(dir string, dom DomID) string {
	args := h.strings(filepath.Join(dir, "cmdline"))
	id := strconv.Itoa(int(dom))
	output := "--output=" + filepath.Join(h.Lib, "bootloader."+id+".out")
	for i, a := range args {
		switch {
		case a == "-xen-domid" && i+1 < len(args) && args[i+1] == id:
			return DeviceModel
		case a == output:
			return BootLoader
		}
	}
	if len(args) == 0 {
		return "" // of the kernel, or ended
	}
	for _, kv := range h.strings(filepath.Join(dir, "environ")) {
		path, ok := strings.CutPrefix(kv, "XENBUS_PATH=")
		if part := strings.Split(path, "/"); ok && len(part) == 4 && part[0] == "backend" && part[2] == id {
			return HotplugScript
		}
	}
	return ""
}

// strings reads NUL-terminated strings.
func (h *Host) strings(path string) []string {
	b, err := h.ReadFile(path)
	if err != nil || len(b) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
}
