package domains_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
)

// lab is a real Xen host and a guest to make on it.
type lab struct {
	*testing.T
	m       *domains.Manager
	ctx     context.Context
	dir     string
	genuine string // the genuine xl
	uuid    string
	name    string
}

// labUUID numbers the uuids of the tests' guests, so that whatever stays behind
// can be told apart.
const labUUID = "6d616e61-6765-7200-0000-%012x"

func newLab(t *testing.T, n int) *lab {
	t.Helper()
	xentest.NeedXen(t)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	t.Cleanup(cancel)
	m, err := domains.Open(ctx, domains.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	l := &lab{T: t, m: m, ctx: ctx, dir: t.TempDir(), uuid: fmt.Sprintf(labUUID, n),
		genuine: cmp.Or(os.Getenv("GENUINE_XL"), "/usr/lib/xen-4.17/bin/xl"), name: fmt.Sprintf("manager-lab-%d", n)}
	t.Cleanup(l.checkNothingLeft) // runs after the guest's own cleanup
	return l
}

// config is the text of a guest's configuration: with a disk and a network
// interface unless more says otherwise.
func (l *lab) config(kind string, more ...string) string {
	l.Helper()
	disk := filepath.Join(l.dir, "disk.img")
	if err := os.WriteFile(disk, nil, 0o644); err != nil {
		l.Fatal(err)
	}
	if err := os.Truncate(disk, 16<<20); err != nil {
		l.Fatal(err)
	}
	guest := cmp.Or(os.Getenv("GOXL_GUEST"), "/opt/guest")
	text := fmt.Sprintf("name=%q\nuuid=%q\ntype=%q\nkernel=%q\nramdisk=%q\nextra=\"console=hvc0\"\nmemory=128\nvcpus=1\nmaxvcpus=2\n"+
		"disk=[%q]\nvif=[\"bridge=xenbr0,mac=00:16:3e:6d:61:01\"]\n",
		l.name, l.uuid, kind, guest+"/vmlinuz", guest+"/initrd.img", disk+",raw,xvda,rw")
	return text + strings.Join(more, "\n") + "\n"
}

func (l *lab) spec(text string) *config.Spec {
	l.Helper()
	v := l.m.Xen().Version()
	s, _, err := config.Parse("test", []byte(text), config.Options{Release: config.Release{Major: v.Major, Minor: v.Minor}})
	if err != nil {
		l.Fatal(err)
	}
	return s
}

// create makes a guest with ours and sees to its end.
func (l *lab) create(text string, o domains.CreateOptions) abi.DomID {
	l.Helper()
	o.Timeline = domains.NewTimeline()
	id, err := l.m.Create(l.ctx, l.spec(text), o)
	for _, s := range o.Timeline.Steps() {
		if s.Took > 300*time.Millisecond {
			l.Logf("%-22s %v", s.Name, s.Took.Round(time.Millisecond))
		}
	}
	if err != nil {
		l.Fatal(err)
	}
	l.destroyAfterwards()
	return id
}

func (l *lab) destroyAfterwards() {
	l.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		list, err := l.m.List(ctx)
		if err != nil {
			l.Error(err)
		}
		for _, d := range list {
			if d.UUID.String() == l.uuid && !d.Dying {
				if err := l.m.Destroy(ctx, d.ID); err != nil {
					l.Error(err)
				}
			}
		}
	})
}

// xl runs the genuine tool.
func (l *lab) xl(args ...string) string {
	l.Helper()
	out, err := exec.CommandContext(l.ctx, l.genuine, args...).CombinedOutput()
	if err != nil {
		l.Fatalf("genuine xl %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// sh runs a shell command whose failure does not matter.
func (l *lab) sh(cmd string) string {
	out, _ := exec.Command("sh", "-c", cmd).CombinedOutput()
	return string(out)
}

// checkNothingLeft fails the test when anything of its guest is still there
// after ten seconds. It looks at few things only: a lab is slow.
func (l *lab) checkNothingLeft() {
	l.Helper()
	var left []string
	for range 20 {
		if left = l.left(); len(left) == 0 {
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
	l.Errorf("left behind: %q", left)
}

func (l *lab) left() (left []string) {
	l.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if there, err := l.m.Store().Exists(ctx, "/vm/"+l.uuid); err != nil || there {
		left = append(left, fmt.Sprintf("/vm/%s: %v", l.uuid, err))
	}
	list, err := l.m.List(ctx)
	if err != nil {
		l.Fatal(err)
	}
	for _, d := range list {
		if d.UUID.String() == l.uuid || d.Name == l.name {
			left = append(left, fmt.Sprintf("domain %d %s", d.ID, d.Name))
		}
	}
	for _, pattern := range []string{"/var/lib/xen/*" + l.uuid + "*", "/run/goxl/guests/" + l.uuid + "*"} {
		files, _ := filepath.Glob(pattern)
		left = append(left, files...)
	}
	backing, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, f := range backing {
		if b, err := os.ReadFile(f); err == nil && strings.HasPrefix(string(b), l.dir) {
			left = append(left, f)
		}
	}
	return left
}

// nodes lists everything in xenstore about a domain, with its id replaced, and
// without what drivers, daemons and scripts add in their own time.
func (l *lab) nodes(id abi.DomID) []string {
	l.Helper()
	text := l.sh(fmt.Sprintf("for p in /local/domain/%[1]d /libxl/%[1]d /vm/%[2]s /local/domain/0/backend/vbd/%[1]d /local/domain/0/backend/vif/%[1]d "+
		"/local/domain/0/backend/console/%[1]d; do xenstore-ls -fp $p; done", id, l.uuid))
	num := fmt.Sprint(id)
	for _, r := range [][2]string{{`(domain|libxl|vbd|vif|console)/` + num + `\b`, `$1/ID`}, {`\b([nrwb])` + num + `\b`, `${1}ID`},
		{`"` + num + `"`, `"ID"`}, {`(start_time|ring-ref|tty|/port|node|physical-device|physical-device-path) = ".*"`, `$1 = "*"`}, {`/dev/loop\d+`, `LOOP`}} {
		text = regexp.MustCompile(r[0]).ReplaceAllString(text, r[1])
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	lines = slices.DeleteFunc(lines, func(s string) bool {
		return regexp.MustCompile(`/(feature-|max-ring|multi-queue|hotplug-status|state) ?|feature-[a-z]+|sector|/info `).MatchString(s) && strings.Contains(s, "backend/")
	})
	slices.Sort(lines)
	return lines
}

func (l *lab) userdata(id abi.DomID) string {
	l.Helper()
	path := fmt.Sprintf("/var/lib/xen/userdata-d.%d.%s.libxl-json", id, l.uuid)
	data, err := os.ReadFile(path)
	if err != nil {
		l.Fatal(err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		l.Errorf("%s: %v, %v", path, fi.Mode(), err)
	}
	return string(data)
}
