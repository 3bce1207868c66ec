package device_test

import (
	"context"
	"errors"
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
	for range bootTries {
		if l.boot() {
			return l
		}
	}
	t.Fatalf("no guest came up in %d tries", bootTries)
	return nil
}

// bootTries is how often a guest may fail to start: emulated, a PVH guest now and
// then ends in a triple fault while its kernel starts.
const bootTries = 6

// boot makes a guest and reports whether its kernel came as far as xenbus.
func (l *lab) boot() bool {
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
		l.Logf("guest %s did not start: %v", name, err)
	}
	return up
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

func TestLabPVH(t *testing.T) { labDevices(t, device.PVH) }
func TestLabPV(t *testing.T)  { labDevices(t, device.PV) }

// labDevices attaches each kind of device in each way and takes it down by the
// other toolstack; what both write is compared node by node.
func labDevices(t *testing.T, kind device.GuestType) {
	l := newLab(t, kind)
	before := l.state()
	dom := strconv.Itoa(int(l.dom))

	file := l.image("disk.img")
	mac, _ := device.ParseMAC("00:16:3e:12:34:56")
	disk := device.Disk{VDev: "xvdb", Target: file, Writable: true}
	nic := device.NIC{DevID: device.AutoID, MAC: mac}
	xlDisk := []string{"block-attach", dom, file + ",raw,xvdb,rw"}
	xlNIC := []string{"network-attach", dom, "mac=" + mac.String()}

	l.sub("file disk, ours and theirs are the same", func(l *lab) {
		dev := l.addDisk(disk)
		ours := l.state()
		l.listed("block-list", dom, dev)
		l.xl("block-detach", dom, "xvdb")
		l.settled("our attach, xl block-detach", before)
		l.attach(dev, xlDisk...)
		if diff := cmp.Diff(l.state(), ours); diff != "" {
			l.Errorf("host state (-xl +ours):\n%s", diff)
		}
		l.remove(dev, device.Safe)
		l.settled("xl block-attach, our detach", before)
	})
	l.sub("vif, ours and theirs are the same", func(l *lab) {
		dev := l.addNIC(nic)
		ours := l.state()
		l.onBridge(fmt.Sprintf("vif%d.0", l.dom), "xenbr0", 1500)
		l.listed("network-list", dom, dev)
		l.xl("network-detach", dom, "0")
		l.settled("our attach, xl network-detach", before)
		l.attach(dev, xlNIC...)
		if diff := cmp.Diff(l.state(), ours); diff != "" {
			l.Errorf("host state (-xl +ours):\n%s", diff)
		}
		l.remove(dev, device.Auto)
		l.settled("xl network-attach, our detach", before)
	})
	l.sub("block device, read-only", func(l *lab) {
		loop, err := l.host.AttachLoop(file, true)
		if err != nil {
			l.Fatal(err)
		}
		defer l.host.DetachLoop(loop)
		busy := l.state()
		l.remove(l.addDisk(device.Disk{VDev: "xvdc", Target: loop}), device.Safe)
		l.settled("block device", busy)
		l.addDisk(device.Disk{VDev: "xvdc", Target: loop})
		l.xl("block-detach", dom, "xvdc")
		l.settled("block device, xl block-detach", busy)
	})
	l.sub("scripted disk", func(l *lab) {
		d := device.Disk{VDev: "xvdd", Target: "dummy:" + file, Script: "block-dummy", Writable: true}
		l.remove(l.addDisk(d), device.Safe)
		l.settled("script", before)
		l.addDisk(d)
		l.xl("block-detach", dom, "xvdd")
		l.settled("script, xl block-detach", before)
	})
	l.sub("genuine scripts run by us", func(l *lab) {
		l.set.AlwaysScript = true
		defer func() { l.set.AlwaysScript = false }()
		d := l.addDisk(disk)
		n := l.addNIC(nic)
		l.set.AlwaysScript = false // and taken down without them
		l.remove(d, device.Safe)
		l.remove(n, device.Auto)
		l.settled("scripts", before)
		d = l.addDisk(disk)
		n = l.addNIC(nic)
		l.set.AlwaysScript = true // and the other way round
		l.remove(d, device.Safe)
		l.remove(n, device.Auto)
		l.settled("no scripts", before)
	})
	l.sub("renamed vif", func(l *lab) {
		name := fmt.Sprintf("dev%dx", l.dom)
		n := nic
		n.IfName, n.MTU, n.DevID = name, 1400, 3
		dev := l.addNIC(n)
		l.onBridge(name, "xenbr0", 1400)
		l.xl("network-detach", dom, "3")
		l.settled("renamed vif, xl network-detach", before)
		dev = l.addNIC(n)
		l.remove(dev, device.Auto)
		l.settled("renamed vif", before)
	})
	l.sub("forced", func(l *lab) {
		l.remove(l.addDisk(disk), device.Forced)
		l.settled("forced", before)
	})
	l.sub("bad requests leave nothing", func(l *lab) {
		n := nic
		n.Bridge = "nobridge"
		if _, err := l.set.AddNIC(l.Context(), l.dom, &n, l.options()); !errors.Is(err, host.ErrNoBridge) {
			l.Errorf("missing bridge: %v", err)
		}
		l.settled("missing bridge", before)
		d := disk
		d.Target = l.dir + "/none"
		if _, err := l.set.AddDisk(l.Context(), l.dom, &d, l.options()); !errors.Is(err, device.ErrTarget) {
			l.Errorf("missing file: %v", err)
		}
		l.settled("missing file", before)
	})
	l.sub("all at once", func(l *lab) {
		l.addDisk(disk)
		l.addNIC(nic)
		devs, err := l.set.List(l.Context(), l.dom)
		if err != nil {
			l.Fatal(err)
		}
		for _, d := range devs {
			if d.Kind != device.ConsoleDev {
				l.remove(d, device.Forced)
			}
		}
		l.settled("all", before)
	})
}

// sub runs a part that shares the guest.
func (l *lab) sub(name string, f func(*lab)) {
	l.Run(name, func(t *testing.T) {
		c := *l
		c.T = t
		f(&c)
	})
}

// listed checks that the genuine tool shows the numbers that we read.
func (l *lab) listed(command, dom string, dev device.Device) {
	l.Helper()
	out := l.xl(command, dom)
	var want string
	switch dev.Kind {
	case device.VBD:
		d, err := l.set.DiskByVDev(l.Context(), l.dom, strconv.Itoa(dev.ID))
		if err != nil {
			l.Fatal(err)
		}
		want = fmt.Sprintf("%-5d %-3d %-6d %-5d %-6d %-8d %-30s\n", d.ID, d.Backend, d.Dom, d.State, d.EvtChn, d.RingRef, d.BackendPath())
	case device.VIF:
		n, err := l.set.NICByName(l.Context(), l.dom, strconv.Itoa(dev.ID))
		if err != nil {
			l.Fatal(err)
		}
		want = fmt.Sprintf("%-3d %-2d %s%6d %5d %6d %5d/%-11d %-30s\n", n.ID, n.Backend, n.NIC.MAC, n.ID, n.State, n.EvtChn, n.RingRef, n.RxRef, n.BackendPath())
	}
	if !strings.Contains(out, want) {
		l.Errorf("xl %s printed\n%swithout our line\n%s", command, out, want)
	}
}

func (l *lab) onBridge(name, bridge string, mtu int) {
	l.Helper()
	master, err := os.Readlink("/sys/class/net/" + name + "/master")
	if err != nil || filepath.Base(master) != bridge {
		l.Errorf("%s is a port of %q, %v, want %s", name, master, err, bridge)
	}
	link, err := net.InterfaceByName(name)
	if err != nil || link.MTU != mtu || link.Flags&net.FlagUp == 0 || link.HardwareAddr.String() != "fe:ff:ff:ff:ff:ff" {
		l.Errorf("interface %+v, %v, want it up with MTU %d", link, err, mtu)
	}
}

// TestLabSharing checks that two guests cannot write to one disk, and that two
// can read it, whichever toolstack attached the first.
func TestLabSharing(t *testing.T) {
	a, b := newLab(t, device.PVH), newLab(t, device.PVH)
	file := a.image("shared.img")
	before := b.state()
	rw := device.Disk{VDev: "xvdb", Target: file, Writable: true}
	ro := device.Disk{VDev: "xvdb", Target: file}
	refuse := func(d device.Disk) {
		t.Helper()
		if _, err := b.set.AddDisk(t.Context(), b.dom, &d, b.options()); !errors.Is(err, device.ErrInUse) {
			t.Errorf("second guest: %v, want ErrInUse", err)
		}
		b.settled("refused disk", before)
	}
	dev := a.addDisk(rw)
	refuse(rw)
	refuse(ro)
	a.remove(dev, device.Safe)

	a.attach(dev, "block-attach", strconv.Itoa(int(a.dom)), file+",raw,xvdb,rw")
	refuse(rw)
	a.remove(dev, device.Safe)

	dev = a.addDisk(ro)
	refuse(rw)
	second := b.addDisk(ro)
	b.remove(second, device.Safe)
	b.settled("shared read-only disk", before)
	a.remove(dev, device.Safe)
}
