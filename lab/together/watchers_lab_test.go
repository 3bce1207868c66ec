package together

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goxl/lab/dom0"
	"goxl/xenctrl/xentest"
)

// TestLabWatchers tells the same story with both tools and compares what a watcher of
// xenstore sees: in which order nodes first appear in each operation, and their
// permissions and values after it. All that may differ is what byOthers, chance and
// lists leave out, each for the reason that it gives.
func TestLabWatchers(t *testing.T) {
	dom0.InCoverOn(t, "4.17")
	xentest.NeedXen(t)
	ours, genuine := dom0.Toolstacks(t)
	t.Cleanup(dom0.Leftovers(t))
	dom0.Drivers(t)
	for _, kind := range []string{"pvh", "pv"} {
		t.Run(kind, func(t *testing.T) {
			dir := plainDir(t)
			theirs := tell(t, dir, kind, genuine)
			own := tell(t, dir, kind, ours)
			for _, s := range chapters {
				t.Run(s.name, func(t *testing.T) { comparePhases(t, s.name, theirs[s.name], own[s.name]) })
			}
		})
	}
}

// plainDir is a directory whose path means the same in a disk= as anywhere.
func plainDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "together-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// image makes a disk image that has no blocks yet.
func image(t *testing.T, path string) string {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 4<<20); err != nil {
		t.Fatal(err)
	}
	return path
}

// watchedGuest is the name of the guest of the story.
const watchedGuest = "watched"

// chapters are the operations of the story. %s is the folder of its disks.
var chapters = []struct {
	name string
	args []string
}{
	{"create", []string{"create", "%s/watched.cfg"}},
	{"block-attach", []string{"block-attach", watchedGuest, "%s/spare.img,raw,xvdb,rw"}},
	{"block-detach", []string{"block-detach", watchedGuest, "xvdb"}},
	{"network-attach", []string{"network-attach", watchedGuest, "bridge=xenbr0", "mac=00:16:3e:01:02:04"}},
	{"network-detach", []string{"network-detach", watchedGuest, "00:16:3e:01:02:04"}},
	{"reboot", []string{"reboot", watchedGuest}},
	{"destroy", []string{"destroy", watchedGuest}},
}

// tell has one tool do all that the story is about.
func tell(t *testing.T, dir, kind string, x dom0.Tool) map[string]phase {
	t.Helper()
	m := dom0.Mini{Name: watchedGuest, Kind: kind, MiB: 16, VCPUs: 1, More: fmt.Sprintf(
		"uuid = %q\ndisk = [ \"%s,raw,xvda,rw\" ]\nvif = [ \"bridge=xenbr0,mac=00:16:3e:01:02:03\" ]\non_reboot = \"restart\"\n",
		"6f9b3c1e-58a7-4d0e-9c64-1f2a7b8e0d35", image(t, filepath.Join(dir, "root.img")))}
	m.Write(t, filepath.Join(dir, "watched.cfg"))
	image(t, filepath.Join(dir, "spare.img"))
	t.Cleanup(func() { x.Run(t, dom0.Patience, "destroy", watchedGuest) })
	r := newRecorder(t, kind)
	defer r.watch.Close()
	seen := map[string]phase{}
	for _, c := range chapters {
		seen[c.name] = r.record(t, func() {
			var args []string
			for _, a := range c.args {
				args = append(args, strings.ReplaceAll(a, "%s", dir))
			}
			x.Must(t, args...)
			if c.name == "reboot" {
				awaitReboot(t, x, r.ids[0])
			}
		})
	}
	return seen
}

// awaitReboot waits until the guest runs in another domain, all of its devices being
// there.
func awaitReboot(t *testing.T, x dom0.Tool, old string) {
	t.Helper()
	for end := time.Now().Add(dom0.Patience); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		r := x.Run(t, dom0.Patience, "list", watchedGuest)
		f := strings.Fields(r.Stdout)
		if r.Code == 0 && len(f) > 10 && f[7] != old && !strings.ContainsAny(f[10], "psd") {
			return
		}
	}
	t.Fatalf("%s did not come back in another domain than %s", watchedGuest, old)
}

// comparePhases compares what was seen of one operation.
func comparePhases(t *testing.T, name string, genuine, ours phase) {
	t.Helper()
	t.Logf("%d nodes of the toolstack appeared, %d of others; %d stand there", len(genuine.Order), len(genuine.Rest), len(genuine.Tree))
	a, b := genuine.lists(name), ours.lists(name)
	for what := range a {
		if d := cmp.Diff(a[what], b[what]); d != "" {
			t.Errorf("%s (-genuine +ours):\n%s", what, d)
		}
	}
}

// aboutDevice matches a path of a disk or an interface: its place, kind, guest and id.
var aboutDevice = regexp.MustCompile(`/(vbd|vif)/(#\d/)?(\d+)|/backend/(vbd|vif)/#\d$|/device/(vbd|vif)$`)

// lists are what is compared. A guest that ends has its devices removed beside each
// other, by both tools, at a pace that is the kernel's: then the order is compared for
// each device by itself, and for all the rest.
func (p phase) lists(name string) map[string][]string {
	all := map[string][]string{"nodes of others": p.Rest, "nodes afterwards": p.Tree}
	for _, line := range p.Order {
		what := "order"
		if m := aboutDevice.FindStringSubmatch(line); m != nil && (name == "reboot" || name == "destroy") {
			what = "order of " + m[1] + m[4] + m[5]
		}
		all[what] = append(all[what], line)
	}
	return all
}
