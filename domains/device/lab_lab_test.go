package device_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goxl/domains/device"
	"goxl/domains/host"
	"goxl/xenctrl/xentest"
	"goxl/xenstore"
)

// labWait is how long a driver in an emulated guest may take.
const labWait = 90 * time.Second

// lab is a guest made by the genuine xl, and our view of its devices.
type lab struct {
	*testing.T
	store *xenstore.Client
	host  *host.Host
	set   *device.Set
	dom   device.DomID
	kind  device.GuestType
	dir   string
}

func newLab(t *testing.T, kind device.GuestType) *lab {
	xentest.NeedXen(t)
	store, err := xenstore.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	l := &lab{T: t, store: store, host: host.New(host.DefaultPaths()), kind: kind, dir: t.TempDir()}
	l.set = device.New(device.Options{Store: store, Host: l.host, Layout: device.LayoutOf(xenMinor(t)),
		Timeouts: device.Timeouts{Attach: labWait, Script: 4 * labWait}}) // a script forks a hundred times
	l.boot()
	return l
}

// boot makes a guest and waits until its kernel has come as far as xenbus.
func (l *lab) boot() {
	l.Helper()
	name := fmt.Sprintf("device-test-%s-%d-%d", l.kind, os.Getpid(), time.Now().UnixMilli()%1e6)
	guest := os.Getenv("GOXL_GUEST")
	if guest == "" {
		guest = "/opt/guest"
	}
	cfg := filepath.Join(l.dir, "guest.cfg")
	text := fmt.Sprintf("name=%q\ntype=%q\nkernel=%q\nramdisk=%q\nmemory=192\nvcpus=1\nextra=\"console=hvc0\"\non_reboot=\"destroy\"\n",
		name, l.kind, guest+"/vmlinuz", guest+"/initrd.img")
	if err := os.WriteFile(cfg, []byte(text), 0o600); err != nil {
		l.Fatal(err)
	}
	l.xl("create", "-q", cfg)
	l.Cleanup(func() { tryXL("destroy", name) }) // may be gone already
	id, err := strconv.ParseUint(strings.TrimSpace(l.xl("domid", name)), 10, 16)
	if err != nil {
		l.Fatal(err)
	}
	l.dom = device.DomID(id)
	ctx, cancel := context.WithTimeout(l.Context(), labWait)
	defer cancel()
	up := false
	_, err = l.store.Await(ctx, fmt.Sprintf("/local/domain/%d/control/feature-poweroff", id), func(v string, exists bool) bool {
		up = v == "1"
		return up || !exists
	})
	if !up {
		l.Fatalf("guest %s did not start: %v", name, err)
	}
}

// xl runs the genuine tool.
func (l *lab) xl(args ...string) string {
	l.Helper()
	out, err := tryXL(args...)
	if err != nil {
		l.Fatalf("xl %q: %v\n%s", args, err, out)
	}
	return out
}

func tryXL(args ...string) (string, error) {
	xl := os.Getenv("GENUINE_XL")
	if xl == "" {
		xl = "xl"
	}
	out, err := exec.Command(xl, args...).CombinedOutput()
	return string(out), err
}

// attach has the genuine tool attach dev. In a busy emulated host its scripts may
// exceed their 40 s; then what it left is removed and it tries again.
func (l *lab) attach(dev device.Device, args ...string) {
	l.Helper()
	for n := 1; ; n++ {
		out, err := tryXL(args...)
		if err == nil {
			l.connected(dev)
			return
		}
		if n == 4 || !strings.Contains(out, "because of timeout") {
			l.Fatalf("xl %q: %v\n%s", args, err, out)
		}
		l.Logf("xl %q ran out of time, again", args)
		if err := l.set.Remove(l.Context(), dev, device.Forced); err != nil {
			l.Log(err)
		}
	}
}

// detach has the genuine tool take down a device, after which the host looks like
// want. A script of it that runs out of time is none of our failures: it says so
// and leaves its loop device.
func (l *lab) detach(want []string, args ...string) {
	l.Helper()
	out := l.xl(args...)
	if !strings.Contains(out, "because of timeout") {
		l.settled(fmt.Sprintf("our attach, xl %q", args), want)
		return
	}
	l.Logf("xl %q: %s", args, out)
	loops, err := l.host.Loops()
	if err != nil {
		l.Fatal(err)
	}
	for _, p := range loops {
		if strings.HasPrefix(p.Name, l.dir) && !slices.Contains(want, "loop device for "+p.Name) {
			l.host.DetachLoop(p.Path, p.Name)
		}
	}
}

func xenMinor(t *testing.T) int {
	b, err := os.ReadFile("/sys/hypervisor/version/minor")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// image makes a disk image.
func (l *lab) image(name string) string {
	path := filepath.Join(l.dir, name)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		l.Fatal(err)
	}
	if err := os.Truncate(path, 8<<20); err != nil {
		l.Fatal(err)
	}
	return path
}

func (l *lab) options() device.AddOptions {
	o := device.AddOptions{Type: l.kind, Running: true}
	if l.kind == device.PV {
		o.Protocol = "x86_64-abi"
	}
	return o
}

func (l *lab) addDisk(d device.Disk) device.Device {
	l.Helper()
	dev, err := l.set.AddDisk(l.Context(), l.dom, &d, l.options())
	if err != nil {
		l.Fatal(err)
	}
	l.connected(dev)
	return dev
}

func (l *lab) addNIC(n device.NIC) device.Device {
	l.Helper()
	dev, err := l.set.AddNIC(l.Context(), l.dom, &n, l.options())
	if err != nil {
		l.Fatal(err)
	}
	l.connected(dev)
	return dev
}

// connected waits until both drivers serve the device.
func (l *lab) connected(dev device.Device) {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), labWait)
	defer cancel()
	for _, path := range []string{dev.BackendPath(), dev.FrontendPath()} {
		if v, err := l.store.Await(ctx, path+"/state", func(v string, _ bool) bool { return v == "4" }); err != nil {
			l.Fatalf("%s: state %q: %v", dev, v, err)
		}
	}
}

func (l *lab) remove(dev device.Device, how device.Force) {
	l.Helper()
	if err := l.set.Remove(l.Context(), dev, how); err != nil {
		l.Error(err)
	}
}

// state is everything that an attached device leaves on the host.
func (l *lab) state() []string {
	l.Helper()
	var all []string
	for _, dir := range []string{
		fmt.Sprintf("/libxl/%d/device", l.dom), fmt.Sprintf("/local/domain/%d/device", l.dom),
		fmt.Sprintf("/local/domain/0/backend/vbd/%d", l.dom), fmt.Sprintf("/local/domain/0/backend/vif/%d", l.dom),
	} {
		all = append(all, l.tree(dir)...)
	}
	loops, err := l.host.Loops()
	if err != nil {
		l.Fatal(err)
	}
	for _, p := range loops {
		if strings.HasPrefix(p.Name, l.dir) {
			all = append(all, "loop device for "+p.Name)
		}
	}
	links, err := net.Interfaces()
	if err != nil {
		l.Fatal(err)
	}
	for _, i := range links {
		if strings.HasPrefix(i.Name, fmt.Sprintf("vif%d.", l.dom)) || strings.HasPrefix(i.Name, fmt.Sprintf("dev%dx", l.dom)) {
			all = append(all, "interface "+i.Name)
		}
	}
	return all
}

// volatile matches nodes whose value is chosen anew each time.
var volatile = regexp.MustCompile(`/(event-channel(-[rt]x)?|([rt]x-)?ring-ref|physical-device(-path)?|node)$`)

// tree returns the nodes below dir with permissions, in the order of their names.
func (l *lab) tree(dir string) []string {
	v, err := l.store.Read(l.Context(), dir)
	if err != nil {
		return nil // gone, perhaps just now
	}
	perms, _ := l.store.Perms(l.Context(), dir)
	if volatile.MatchString(dir) {
		v = "volatile"
	}
	all := []string{fmt.Sprintf("%s = %q %v", dir, v, perms)}
	names, _ := l.store.List(l.Context(), dir)
	slices.Sort(names)
	for _, n := range names {
		all = append(all, l.tree(dir+"/"+n)...)
	}
	return all
}

// settled waits until the host looks like want again: kernels free loop devices
// and interfaces a little later.
func (l *lab) settled(what string, want []string) {
	l.Helper()
	var diff string
	for end := time.Now().Add(labWait); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if diff = cmp.Diff(want, l.state()); diff == "" {
			return
		}
	}
	l.Errorf("%s left something (-before +after):\n%s", what, diff)
}
