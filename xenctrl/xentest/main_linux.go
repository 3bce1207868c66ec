package xentest

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// Main runs a package's tests and fails them when they leave descriptors open
// (of Xen's devices: ports and grants), or memory of other domains mapped.
//
//	func TestMain(m *testing.M) { xentest.Main(m) }
func Main(m *testing.M) {
	before := holdings()
	code := m.Run()
	if left := leaked(before, holdings()); code == 0 && len(left) > 0 {
		for _, l := range left {
			fmt.Fprintln(os.Stderr, "xentest: leaked", l)
		}
		code = 1
	}
	os.Exit(code)
}

// holdings counts what the process holds: open files by name, and mappings of
// Xen's devices and of machines in memory.
func holdings() map[string]int {
	out := map[string]int{}
	fds, _ := filepath.Glob("/proc/self/fd/*")
	for _, fd := range fds {
		name, err := os.Readlink(fd)
		if err == nil && !ofRuntime(name) {
			out["open file "+kind(name)]++
		}
	}
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return out
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) < 6 {
			continue
		}
		if name := fields[5]; strings.HasPrefix(name, "/dev/xen/") || strings.HasPrefix(name, "/memfd:xentest") {
			out["mapping of "+kind(name)]++
		}
	}
	return out
}

// ofRuntime names what the Go runtime opens by itself.
func ofRuntime(name string) bool {
	return strings.HasPrefix(name, "anon_inode:") || strings.HasPrefix(name, "/proc/") ||
		strings.HasPrefix(name, "/sys/fs/cgroup/")
}

// kind takes off numbers that differ from file to file: "socket:[123]".
func kind(name string) string {
	if i := strings.Index(name, ":["); i > 0 {
		return name[:i]
	}
	return name
}

func leaked(before, after map[string]int) []string {
	var out []string
	for name, n := range after {
		if n > before[name] {
			out = append(out, fmt.Sprintf("%s (%d, %d before)", name, n, before[name]))
		}
	}
	sort.Strings(out)
	return out
}
