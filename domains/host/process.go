package host

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strconv"
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
