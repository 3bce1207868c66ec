package dom0

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
)

// TakeConsoles stops the genuine console daemon until the test ends, and returns when
// it has ended.
func TakeConsoles(t *testing.T) {
	t.Helper()
	const pidFile = "/run/xen/xenconsoled.pid"
	b, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(pid, unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		genuine := filepath.Join(filepath.Dir(Getenv(t, "GENUINE_XL")), "xenconsoled")
		if out, err := exec.Command(genuine, "--pid-file="+pidFile, "--log=none").CombinedOutput(); err != nil {
			t.Errorf("the genuine console daemon: %v %s", err, out)
		}
	})
	for end := time.Now().Add(Patience); ; time.Sleep(50 * time.Millisecond) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(b), ") Z ") {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the genuine console daemon does not end")
		}
	}
}
