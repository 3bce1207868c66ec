package dom0

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// traces are the commands whose output lines show what a guest can leave on a host.
// Lock files of hotplug scripts are no trace: each script makes and removes them.
var traces = []string{
	"xenstore-list /local/domain | sort -n",
	"xenstore-list /libxl | sort",
	"xenstore-list /vm | sort",
	"for k in vbd vif qdisk console; do xenstore-list /local/domain/0/backend/$k 2>/dev/null | sed s,^,$k/,; done",
	"losetup -a | cut -d: -f1,3-",
	"ls /sys/class/net",
	"ls /var/lib/xen | grep -v '^dump$'",
	"find /run/goxl/creating /run/goxl/guests -type f 2>/dev/null",
	"pgrep -a qemu; pgrep -a -x xl; true",
}

// Leftovers takes note of the host now and returns a function that fails the
// test when the host is not the same again within a minute.
func Leftovers(t *testing.T) func() {
	t.Helper()
	before := traceHost()
	return func() {
		t.Helper()
		var after []string
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
			if after = traceHost(); slices.Equal(before, after) {
				return
			}
		}
		backends, _ := exec.Command("xenstore-ls", "-f", "/local/domain/0/backend").Output()
		t.Errorf("left behind (-before +after):\n%s\nbackends there are:\n%s", cmp.Diff(before, after), backends)
	}
}

func traceHost() []string {
	var lines []string
	for _, c := range traces {
		out, _ := exec.Command("sh", "-c", c).Output()
		for line := range strings.Lines(string(out)) {
			lines = append(lines, c[:min(len(c), 24)]+": "+strings.TrimSpace(line))
		}
	}
	return lines
}
