package device

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goxl/domains/host"
	"goxl/xenstore"
)

// driverNode matches what the guest's and our drivers wrote in a recorded dump.
var driverNode = regexp.MustCompile(`/(feature-[a-z0-9-]+|discard-(alignment|granularity|secure)|info|max-ring-page-order|` +
	`multi-queue-[a-z-]+|physical-sector-size|sectors|sector-size|event-channel(-[rt]x)?|([rt]x-)?ring-ref|` +
	`request-rx-copy|xdp-headroom|node|physical-device|physical-device-path|versions|max-rings|page-g?ref|` +
	`request-abs-pointer)$`)

// recorded returns a dump in testdata without what drivers and scripts wrote.
func recorded(t *testing.T, name string) []string {
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for l := range strings.Lines(string(b)) {
		path, _, _ := strings.Cut(l, " ")
		if l[0] == '#' || driverNode.MatchString(path) && !strings.HasSuffix(path, "console/ring-ref") {
			continue
		}
		if strings.Contains(path, "/libxl/") == false { // the record keeps the first state
			l = strings.Replace(l, `/state = "4"`, `/state = "2"`, 1)
		}
		lines = append(lines, strings.TrimSpace(l))
	}
	return lines
}

// dump returns the device nodes of guest 5 in the words of xenstore-ls -fp.
func (w *world) dump() []string {
	var lines []string
	for _, p := range w.srv.Paths() {
		if !strings.HasPrefix(p, "/libxl/5/device/") && !strings.HasPrefix(p, "/local/domain/5/device/") &&
			!strings.HasPrefix(p, "/local/domain/5/console") && !regexp.MustCompile("^/local/domain/0/backend/[a-z0-9_]+/5").MatchString(p) {
			continue
		}
		v, err := w.store.Read(w.Context(), p)
		w.must(err)
		perms, err := w.store.Perms(w.Context(), p)
		w.must(err)
		var ps []string
		for _, p := range perms {
			ps = append(ps, p.String())
		}
		lines = append(lines, fmt.Sprintf("%s = %q   (%s)", p, v, strings.Join(ps, ",")))
	}
	return lines
}

func TestNodesAreThoseOfXL(t *testing.T) {
	w := newWorld(t, &fakeBackend{})
	ctx := t.Context()
	_, err := w.set.AddConsole(ctx, 5, &Console{Server: XenConsoled, Output: "pty", Port: 2, RingRef: 1569282, TTY: "/dev/pts/2"})
	w.must(err)
	nic := &NIC{
		DevID: AutoID, MAC: MAC{0, 0x16, 0x3e, 0, 0, 2}, Rate: Rate{62500, 50000}, MTU: 1400,
		IP: "10.1.2.3", IfName: "dev5x", GatewayDev: "eth0", Script: "vif-bridge",
	}
	_, err = w.set.AddNIC(ctx, 5, nic, AddOptions{Type: PV, Running: true})
	w.must(err)
	on := true
	disk := &Disk{VDev: "xvdc", Script: "block-dummy", Target: "dummy:/tmp/device-b.img", DirectIO: true, Discard: &on}
	_, err = w.set.AddDisk(ctx, 5, disk, AddOptions{Type: PV, Running: true, Protocol: "x86_64-abi"})
	w.must(err)

	got := w.dump()
	for i := range got { // our scripts directory, and scripts that say nothing
		got[i] = strings.Replace(got[i], w.dir, "/etc/xen/scripts", 1)
	}
	want := recorded(t, "xl-4.17-pv.txt")
	for i := range want {
		want[i] = strings.Replace(want[i], `vif/5/0/hotplug-status = "connected"`, `vif/5/0/hotplug-status = ""`, 1)
		want[i] = strings.Replace(want[i], `local/domain/5/device/vif/0/state = "2"`, `local/domain/5/device/vif/0/state = "1"`, 1)
		want[i] = strings.Replace(want[i], `local/domain/5/device/vbd/51744/state = "2"`, `local/domain/5/device/vbd/51744/state = "1"`, 1)
	}
	want = slices.DeleteFunc(want, func(l string) bool { return strings.Contains(l, `vbd/5/51744/hotplug-status`) })
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("nodes differ from the genuine ones (-xl +ours):\n%s", diff)
	}
}

func TestNodesForQEMUAreThoseOfXL(t *testing.T) {
	w := newWorld(t, nil)
	ctx := t.Context()
	_, err := w.set.AddDisk(ctx, 5, &Disk{VDev: "xvda", Target: "/tmp/device-q.qcow2", Format: FormatQCow2, Backend: BackendQDisk, Writable: true}, AddOptions{Type: PVH})
	w.must(err)
	_, err = w.set.AddVFB(ctx, 5, &VFB{})
	w.must(err)
	_, err = w.set.AddVKB(ctx, 5, &VKB{})
	w.must(err)
	_, err = w.set.AddChannel(ctx, 5, &Channel{DevID: 1, Name: "org.b", Connection: "socket", Path: "/tmp/device-chan"})
	w.must(err)
	_, err = w.set.AddP9(ctx, 5, &P9{Tag: "t", Path: "/tmp", SecurityModel: "none"})
	w.must(err)

	got := slices.DeleteFunc(w.dump(), func(l string) bool { // no primary console here
		return strings.HasPrefix(l, "/libxl/5/device/console =") || strings.HasPrefix(l, "/local/domain/0/backend/console/5 =")
	})
	state := regexp.MustCompile(`/state = "[24]"`)
	var want []string
	for _, l := range recorded(t, "xl-4.17-qemu.txt") {
		path, _, _ := strings.Cut(l, " ")
		switch { // what QEMU and the guest's drivers added
		case strings.HasSuffix(path, "/hotplug-status"), strings.HasSuffix(path, "/console/1/port"),
			strings.HasSuffix(path, "device/vfb/0/protocol"):
			continue
		}
		want = append(want, state.ReplaceAllString(l, `/state = "1"`))
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("nodes differ from the genuine ones (-xl +ours):\n%s", diff)
	}
}

// TestOrderOfNodes watches what a driver sees: its own directory and permissions
// before its keys, and the frontend before the backend.
func TestOrderOfNodes(t *testing.T) {
	w := newWorld(t, nil)
	dev := Device{Dom: 5, Kind: VIF, ID: 0, BackendKind: VIF}
	watch, err := w.store.Watch(t.Context(), "/local/domain")
	w.must(err)
	defer watch.Close()
	n := (&NIC{MTU: 1500, Type: NICVif, Bridge: "b"}).nodes(dev, w.set.env())
	w.must(w.set.write(t.Context(), dev, n, writeOptions{}))
	var seen []string
	for e := range watch.Events() {
		if e.Path != "/local/domain" && (len(seen) == 0 || seen[len(seen)-1] != e.Path) {
			seen = append(seen, e.Path)
		}
		if strings.HasSuffix(e.Path, "backend/vif/5/0/hotplug-status") {
			break
		}
	}
	f, b := dev.FrontendPath(), dev.BackendPath()
	var want []string
	for _, p := range []string{"", "/backend", "/backend-id", "/state", "/handle", "/mac", "/trusted", "/mtu"} {
		want = append(want, f+p)
	}
	for _, p := range []string{"", "/frontend", "/frontend-id", "/online", "/state", "/script", "/mac", "/bridge", "/handle", "/type", "/hotplug-status"} {
		want = append(want, b+p)
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestScriptsGetTheirEnvironment(t *testing.T) {
	w := newWorld(t, &fakeBackend{})
	dev, err := w.set.AddDisk(t.Context(), 5, &Disk{VDev: "xvdb", Target: w.file, Writable: true}, AddOptions{Type: PVH})
	w.must(err)
	if diff := cmp.Diff(`XENBUS_BASE_PATH=backend
XENBUS_PATH=backend/vbd/5/51728
XENBUS_TYPE=vbd
script=DIR/block
`, w.notes("env")); diff != "" {
		t.Error(diff)
	}
	w.must(w.set.Remove(t.Context(), dev, Safe))
	nic, err := w.set.AddNIC(t.Context(), 5, &NIC{DevID: 2, GatewayDev: "gw", Type: NICIOEmu}, AddOptions{Type: HVM})
	w.must(err)
	if diff := cmp.Diff(`INTERFACE=vif5.2-emu
XENBUS_BASE_PATH=backend
XENBUS_PATH=backend/vif/5/2
XENBUS_TYPE=vif
netdev=gw
script=DIR/vif-bridge
vif=vif5.2
`, w.notes("env")); diff != "" {
		t.Error(diff)
	}
	w.must(w.set.Remove(t.Context(), nic, Auto))
	if diff := cmp.Diff(`DIR/block add
DIR/block remove
DIR/vif-bridge online type_if=vif
DIR/vif-bridge add type_if=tap
DIR/vif-bridge offline type_if=vif
DIR/vif-bridge remove type_if=tap
`, w.notes("ran")); diff != "" {
		t.Error(diff)
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestAddFailuresLeaveNothing(t *testing.T) {
	for _, tt := range []struct {
		name    string
		backend fakeBackend
		script  string
		target  string
		is      error
		says    string
	}{
		{"deaf backend", fakeBackend{deaf: true}, "", "", ErrTimeout, "backend still in state 1"},
		{"backend fails", fakeBackend{refuses: true}, "", "", nil, "-22 reading physical-device"},
		{"script fails", fakeBackend{}, "exit 1", "", host.ErrScript, "block add"},
		{"no target", fakeBackend{}, "", "/does/not/exist", ErrTarget, "no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, &tt.backend)
			w.set.Timeouts.Attach, w.set.Timeouts.Detach = 200*time.Millisecond, 200*time.Millisecond
			if tt.script != "" {
				w.script("block", tt.script)
			}
			if tt.target == "" {
				tt.target = w.file
			}
			_, err := w.set.AddDisk(t.Context(), 5, &Disk{VDev: "xvdb", Target: tt.target}, AddOptions{Type: PVH})
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want %q", err, tt.says)
			}
			if left := w.left(); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func TestAddTwice(t *testing.T) {
	w := newWorld(t, &fakeBackend{})
	recorded := 0
	o := AddOptions{Type: PVH, Record: func(context.Context) error { recorded++; return nil }}
	d := Disk{VDev: "xvdb", Target: w.file}
	_, err := w.set.AddDisk(t.Context(), 5, &d, o)
	w.must(err)
	if _, err := w.set.AddDisk(t.Context(), 5, &d, o); !errors.Is(err, ErrExists) {
		t.Errorf("second add: %v", err)
	}
	if recorded != 1 {
		t.Errorf("configuration recorded %d times, want once", recorded)
	}
	if disks, err := w.set.Disks(t.Context(), 5); len(disks) != 1 || err != nil {
		t.Errorf("%d disks after a refused add, %v", len(disks), err)
	}
	boom := errors.New("no space for the configuration")
	o.Record = func(context.Context) error { return boom }
	d.VDev = "xvdc"
	if _, err := w.set.AddDisk(t.Context(), 5, &d, o); !errors.Is(err, boom) {
		t.Errorf("error %v, want the recorder's", err)
	}
}

func TestRemove(t *testing.T) {
	for _, tt := range []struct {
		name    string
		backend fakeBackend
		force   Force
		is      error
		stays   bool
	}{
		{"safe", fakeBackend{}, Safe, nil, false},
		{"auto", fakeBackend{}, Auto, nil, false},
		{"forced", fakeBackend{}, Forced, nil, false},
		{"safe, in use", fakeBackend{sticky: true}, Safe, ErrTimeout, true},
		{"auto, in use", fakeBackend{sticky: true}, Auto, ErrTimeout, false},
		{"forced, in use", fakeBackend{sticky: true}, Forced, ErrTimeout, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, &tt.backend)
			dev, err := w.set.AddDisk(t.Context(), 5, &Disk{VDev: "xvdb", Target: w.file}, AddOptions{Type: PVH})
			w.must(err)
			w.set.Timeouts.Detach = 200 * time.Millisecond
			if err := w.set.Remove(t.Context(), dev, tt.force); !errors.Is(err, tt.is) {
				t.Errorf("error %v, want %v", err, tt.is)
			}
			if left := w.left(); (len(left) > 0) != tt.stays {
				t.Errorf("left behind: %q, want some: %v", left, tt.stays)
			}
			if ran := strings.Contains(w.notes("ran"), "remove"); ran == tt.stays {
				t.Errorf("script ran for the removal: %v", ran)
			}
		})
	}
}

func TestRemoveWithAFailingScript(t *testing.T) {
	w := newWorld(t, &fakeBackend{})
	dev, err := w.set.AddDisk(t.Context(), 5, &Disk{VDev: "xvdb", Target: w.file}, AddOptions{Type: PVH})
	w.must(err)
	w.script("block", "exit 1")
	w.must(w.set.Remove(t.Context(), dev, Safe))
	if left := w.left(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestRemoveWithoutBackend(t *testing.T) {
	w := newWorld(t, &fakeBackend{})
	dev, err := w.set.AddDisk(t.Context(), 5, &Disk{VDev: "xvdb", Target: w.file}, AddOptions{Type: PVH})
	w.must(err)
	w.must(w.store.Rm(t.Context(), dev.BackendPath()))
	w.must(w.set.Remove(t.Context(), dev, Safe))
	if left := w.left(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestDriverDomain(t *testing.T) {
	w := newWorld(t, &fakeBackend{removes: true})
	dev, err := w.set.AddDisk(t.Context(), 5, &Disk{VDev: "xvdb", Target: "/dev/there", BackendDom: 3}, AddOptions{Type: PVH})
	w.must(err)
	if dev.BackendPath() != "/local/domain/3/backend/vbd/5/51728" {
		t.Error(dev.BackendPath())
	}
	perms, err := w.store.Perms(t.Context(), dev.BackendPath())
	w.must(err)
	if s := fmt.Sprint(perms); s != "[n3 r5]" {
		t.Errorf("backend's permissions %s", s)
	}
	w.must(w.set.Remove(t.Context(), dev, Safe))
	if ran := w.notes("ran"); ran != "" {
		t.Errorf("a script ran here for another domain: %s", ran)
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestQEMUDeviceOfAPausedGuest(t *testing.T) {
	w := newWorld(t, nil) // nobody answers
	w.set.State = func(context.Context, DomID) (GuestState, error) { return GuestState{Paused: true}, nil }
	dev, err := w.set.AddDisk(t.Context(), 5, &Disk{VDev: "xvdb", Target: "/x.qcow2", Format: FormatQCow2, Backend: BackendQDisk}, AddOptions{Type: PVH})
	w.must(err)
	if v, _ := w.store.Read(t.Context(), dev.BackendPath()+"/params"); v != "qcow2:/x.qcow2" || dev.BackendKind != QDisk {
		t.Errorf("params %q on %s", v, dev.BackendKind)
	}
	w.must(w.set.Remove(t.Context(), dev, Safe))
	if left := w.left(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestAddToNobody(t *testing.T) {
	w := newWorld(t, &fakeBackend{})
	before := w.srv.Paths()
	if _, err := w.set.AddNIC(t.Context(), 6, &NIC{}, AddOptions{Type: PVH}); !errors.Is(err, ErrNoGuest) {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff(before, w.srv.Paths()); diff != "" {
		t.Error(diff)
	}
}

func TestQDiskNeedsAModel(t *testing.T) {
	w := newWorld(t, nil)
	d := Disk{VDev: "xvdb", Target: "/x.qcow2", Format: FormatQCow2, Backend: BackendQDisk}
	o := AddOptions{Type: PVH, Running: true}
	if _, err := w.set.AddDisk(t.Context(), 5, &d, o); !errors.Is(err, ErrNoModel) || len(w.left()) > 0 {
		t.Errorf("without a device model: %v", err)
	}
	w.must(w.store.Write(t.Context(), "/local/domain/5/image/device-model-pid", "1234"))
	_, err := w.set.AddDisk(t.Context(), 5, &d, o)
	w.must(err)
}

func TestListsAndRemoveAll(t *testing.T) {
	w := newWorld(t, &fakeBackend{})
	ctx := t.Context()
	_, err := w.set.AddConsole(ctx, 5, &Console{Server: XenConsoled, Output: "pty", Port: 2, RingRef: 9})
	w.must(err)
	_, err = w.set.AddChannel(ctx, 5, &Channel{DevID: 1, Name: "org.x", Connection: "socket", Path: "/run/x"})
	w.must(err)
	_, err = w.set.AddP9(ctx, 5, &P9{Tag: "t", Path: "/srv", SecurityModel: "none"})
	w.must(err)
	_, err = w.set.AddVFB(ctx, 5, &VFB{})
	w.must(err)
	_, err = w.set.AddVKB(ctx, 5, &VKB{})
	w.must(err)
	disk, err := w.set.AddDisk(ctx, 5, &Disk{VDev: "xvdb", Target: w.file, Writable: true}, AddOptions{Type: PVH})
	w.must(err)
	for range 2 {
		_, err = w.set.AddNIC(ctx, 5, &NIC{DevID: AutoID}, AddOptions{Type: PVH})
		w.must(err)
	}
	w.must(w.store.Write(ctx, disk.FrontendPath()+"/ring-ref", "8"))
	w.must(w.store.Write(ctx, disk.FrontendPath()+"/event-channel", "4294967295garbage"))

	d, err := w.set.DiskByVDev(ctx, 5, "xvdb")
	w.must(err)
	if d.State != 1 || d.RingRef != 8 || d.EvtChn != -1 || d.Disk.Target != w.file || !d.Disk.Writable {
		t.Errorf("disk is %+v", d)
	}
	nics, err := w.set.NICs(ctx, 5)
	w.must(err)
	if len(nics) != 2 || nics[1].NIC.DevID != 1 || nics[1].RxRef != -1 {
		t.Fatalf("vifs are %+v", nics)
	}
	byMAC, err := w.set.NICByName(ctx, 5, nics[1].NIC.MAC.String())
	w.must(err)
	if byMAC.ID != 1 {
		t.Errorf("vif by its address is %+v", byMAC)
	}
	if _, err := w.set.NICByName(ctx, 5, "7"); !errors.Is(err, ErrNotFound) {
		t.Errorf("vif 7: %v", err)
	}
	channels, err := w.set.Channels(ctx, 5)
	w.must(err)
	if len(channels) != 1 || channels[0].Channel.Name != "org.x" {
		t.Errorf("channels are %+v", channels)
	}
	all, err := w.set.List(ctx, 5)
	w.must(err)
	if len(all) != 8 {
		t.Errorf("%d devices: %v", len(all), all)
	}
	w.set.State = func(context.Context, DomID) (GuestState, error) { return GuestState{Dying: true}, nil }
	w.must(w.set.RemoveAll(ctx, 5))
	if left := w.left(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestHostileRecords(t *testing.T) {
	w := newWorld(t, nil)
	for path, v := range map[string]string{
		"/libxl/5/device/vbd/x/backend":      "/local/domain/0/backend/vbd/5/x",
		"/libxl/5/device/vbd/-1/backend":     "/local/domain/0/backend/vbd/5/-1",
		"/libxl/5/device/vbd/7/backend":      "/etc/passwd",
		"/libxl/5/device/nonsense/1/x":       "",
		"/libxl/5/device/vif/1/backend":      "/local/domain/0/backend/vif/5/1",
		"/libxl/5/device/vif/1/mac":          strings.Repeat("f", 2000),
		"/libxl/5/device/vif/1/rate":         "-1,x",
		"/local/domain/5/device/vif/1/state": "99999999999999999999999",
	} {
		w.must(w.store.Write(t.Context(), path, v))
	}
	if disks, err := w.set.Disks(t.Context(), 5); len(disks) != 0 || err != nil {
		t.Errorf("disks %v, %v", disks, err)
	}
	if nics, err := w.set.NICs(t.Context(), 5); len(nics) != 1 || err != nil {
		t.Errorf("vifs %v, %v", nics, err)
	}
}

func TestCInt(t *testing.T) {
	for s, want := range map[string]int{
		"": 0, "7": 7, "-3": -3, " 12x": 12, "x": 0, "4294967295": -1, "99999999999999999999": -1, "+5": 5,
	} {
		if got := cInt(s); got != want {
			t.Errorf("cInt(%q) = %d, want %d", s, got, want)
		}
	}
}

func FuzzRecord(f *testing.F) {
	f.Add("aio:/x", "00:16:3e:00:00:01", "1,2", "xvda")
	f.Fuzz(func(t *testing.T, params, mac, rate, dev string) {
		r := record{back: map[string]string{"params": params, "mac": mac, "rate": rate, "dev": dev, "mtu": params, "handle": rate}}
		r.disk()
		r.nic()
	})
}

var _ xenstore.Store = (*xenstore.Client)(nil)
