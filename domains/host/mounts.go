package host

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// DevNumber is the number of a block device.
type DevNumber struct{ Major, Minor uint32 }

// String returns n as the block script and blkback write it: in hexadecimal.
func (n DevNumber) String() string { return fmt.Sprintf("%x:%x", n.Major, n.Minor) }

// ParseDevNumber reads "MAJOR:MINOR" in hexadecimal.
func ParseDevNumber(s string) (DevNumber, error) {
	a, b, ok := strings.Cut(s, ":")
	major, err1 := strconv.ParseUint(a, 16, 32)
	minor, err2 := strconv.ParseUint(b, 16, 32)
	if !ok || err1 != nil || err2 != nil {
		return DevNumber{}, fmt.Errorf("device number %q: not MAJOR:MINOR in hexadecimal", s)
	}
	return DevNumber{uint32(major), uint32(minor)}, nil
}

// Mount is a mounted file system.
type Mount struct {
	Source   string // a device's path, or a word for file systems without one
	Dir      string
	ReadOnly bool
}

// Mounts returns what is mounted in this process's view.
func (h *Host) Mounts() ([]Mount, error) {
	f, err := h.OpenFile(filepath.Join(h.Proc, "mounts"), os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var mounts []Mount
	for s := bufio.NewScanner(f); s.Scan(); {
		if m, ok := parseMount(s.Text()); ok {
			mounts = append(mounts, m)
		}
	}
	return mounts, nil
}

// parseMount reads a line of /proc/mounts: source, directory, type, options, 0, 0.
func parseMount(line string) (Mount, bool) {
	field := strings.Fields(line)
	if len(field) < 4 {
		return Mount{}, false
	}
	m := Mount{Source: unescapeMount(field[0]), Dir: unescapeMount(field[1])}
	for _, o := range strings.Split(field[3], ",") {
		m.ReadOnly = m.ReadOnly || o == "ro"
	}
	return m, true
}

// unescapeMount undoes the kernel's \ooo for blanks, tabs, newlines and backslashes.
func unescapeMount(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
