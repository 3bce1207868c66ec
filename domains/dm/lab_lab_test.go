package dm_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"goxl/domains/device"
	"goxl/domains/dm"
	"goxl/domains/host"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
	"goxl/xenstore"
)

const labWait = 3 * time.Minute // emulated, with neighbours

// qcow2 makes an empty image of 8 MiB: a header, a table and a block of
// reference counts for its four clusters, and a table without entries.
// Source: docs/interop/qcow2.txt of QEMU.
func qcow2(t *testing.T, path string) {
	const cluster = 1 << 16
	b := make([]byte, 4*cluster)
	copy(b, "QFI\xfb")
	be := binary.BigEndian
	be.PutUint32(b[4:], 2)          // version
	be.PutUint32(b[20:], 16)        // cluster bits
	be.PutUint64(b[24:], 8<<20)     // size
	be.PutUint32(b[36:], 1)         // entries of L1
	be.PutUint64(b[40:], 3*cluster) // L1
	be.PutUint64(b[48:], cluster)   // table of reference counts
	be.PutUint32(b[56:], 1)         // its clusters
	be.PutUint64(b[cluster:], 2*cluster)
	for i := range 4 {
		be.PutUint16(b[2*cluster+2*i:], 1)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func xl(t *testing.T, args ...string) string {
	t.Helper()
	tool := os.Getenv("GENUINE_XL")
	if tool == "" {
		tool = "xl"
	}
	out, err := exec.Command(tool, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("xl %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// create makes a paused guest with the genuine tool. Paused, since a device
// model does not need its kernel.
func create(t *testing.T, lines ...string) (name string, dom dm.DomID, uuid abi.UUID) {
	guest := os.Getenv("GOXL_GUEST")
	if guest == "" {
		guest = "/opt/guest"
	}
	name = fmt.Sprintf("device-qemu-%d-%d", os.Getpid(), time.Now().UnixMilli()%1e6)
	uuid = abi.UUID{0x11, 0x22, 6: 0x40, 8: 0x80, 14: byte(time.Now().UnixMilli() >> 8), 15: byte(time.Now().UnixMilli())}
	cfg := filepath.Join(t.TempDir(), "cfg")
	text := fmt.Sprintf("name=%q\nuuid=%q\ntype=\"pvh\"\nkernel=%q\nramdisk=%q\nmemory=128\n%s\n",
		name, uuid, guest+"/vmlinuz", guest+"/initrd.img", strings.Join(lines, "\n"))
	if err := os.WriteFile(cfg, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	xl(t, "create", "-q", "-p", cfg)
	id, err := strconv.ParseUint(strings.TrimSpace(xl(t, "domid", name)), 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return name, dm.DomID(id), uuid
}

func open(t *testing.T) (*xenstore.Client, *dm.Models, *device.Set) {
	xentest.NeedXen(t)
	store, err := xenstore.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	h := host.New(host.DefaultPaths())
	return store, dm.New(dm.Options{Store: store, Host: h, StartTimeout: labWait, QMPTimeout: labWait}),
		device.New(device.Options{Store: store, Host: h, Layout: device.LayoutOf(17)})
}

// gone waits until the process has ended and its sockets are removed.
func gone(t *testing.T, pid string, dom dm.DomID) {
	t.Helper()
	for end := time.Now().Add(labWait); ; time.Sleep(200 * time.Millisecond) {
		b, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(b), ") Z ") {
			break
		}
		if time.Now().After(end) {
			t.Errorf("QEMU %s lives on", pid)
			return
		}
	}
	left, _ := filepath.Glob(fmt.Sprintf("/var/run/xen/qmp-*-%d", dom))
	if len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestLabOursServesAndTheirsEnds starts our QEMU for a guest of the genuine xl,
// which then sees its devices and destroys both.
func TestLabOursServesAndTheirsEnds(t *testing.T) {
	store, models, set := open(t)
	name, dom, uuid := create(t)
	destroyed := false
	defer func() {
		if !destroyed {
			xl(t, "destroy", name)
		}
	}()
	image := filepath.Join(t.TempDir(), "disk.qcow2")
	qcow2(t, image)
	socket := filepath.Join(t.TempDir(), "channel")
	ctx := t.Context()
	disk, err := set.AddDisk(ctx, dom, &device.Disk{VDev: "xvda", Target: image, Format: device.FormatQCow2, Writable: true}, device.AddOptions{Type: device.PVH})
	if err != nil {
		t.Fatal(err)
	}
	vfb, err := set.AddVFB(ctx, dom, &device.VFB{})
	if err != nil {
		t.Fatal(err)
	}
	channel := device.Channel{DevID: 1, Name: "org.goxl", Connection: "socket", Path: socket}
	if _, err := set.AddChannel(ctx, dom, &channel); err != nil {
		t.Fatal(err)
	}
	if _, err := set.AddP9(ctx, dom, &device.P9{Tag: "t", Path: "/tmp", SecurityModel: "none"}); err != nil {
		t.Fatal(err)
	}
	err = models.Start(ctx, dm.Config{
		Dom: dom, UUID: uuid, Name: name, MaxMem: 128 << 10, VFB: &device.VFB{}, Channels: []device.Channel{channel},
	})
	if err != nil {
		t.Fatal(err)
	}
	await := func(path, want string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(ctx, labWait)
		defer cancel()
		if v, err := store.Await(ctx, path, func(v string, _ bool) bool { return v == want }); err != nil {
			t.Errorf("%s is %q: %v", path, v, err)
		}
	}
	await(disk.BackendPath()+"/hotplug-status", "connected")
	await(vfb.BackendPath()+"/state", "2")
	if port, err := store.Read(ctx, fmt.Sprintf("/local/domain/%d/console/vnc-port", dom)); err != nil || port < "5900" {
		t.Errorf("VNC port %q, %v", port, err)
	}
	if _, err := os.Stat(socket); err != nil {
		t.Error(err)
	}
	mon, err := models.Dial(ctx, dom, uuid)
	if err != nil {
		t.Fatal(err)
	}
	var status struct{ Status string }
	if err := mon.Execute(ctx, "query-status", nil, &status); err != nil || status.Status != "running" {
		t.Errorf("QEMU is %q, %v", status.Status, err)
	}
	mon.Close()
	if out := xl(t, "block-list", name); !strings.Contains(out, disk.BackendPath()) {
		t.Errorf("xl block-list says\n%s", out)
	}
	pid, err := store.Read(ctx, fmt.Sprintf("/local/domain/%d/image/device-model-pid", dom))
	if err != nil {
		t.Fatal(err)
	}
	xl(t, "destroy", name)
	destroyed = true
	gone(t, pid, dom)
}

// TestLabTheirsServesAndOursEnds speaks with the QEMU that the genuine xl started
// and ends it.
func TestLabTheirsServesAndOursEnds(t *testing.T) {
	store, models, _ := open(t)
	image := filepath.Join(t.TempDir(), "disk.qcow2")
	qcow2(t, image)
	name, dom, uuid := create(t, fmt.Sprintf("disk=[%q]", "format=qcow2,vdev=xvda,access=rw,target="+image))
	defer func() { xl(t, "destroy", name) }()
	on, err := models.Running(t.Context(), dom)
	if err != nil || !on {
		t.Errorf("running: %v, %v", on, err)
	}
	mon, err := models.Dial(t.Context(), dom, uuid)
	if err != nil {
		t.Fatal(err)
	}
	if mon.Version().Major < 5 {
		t.Errorf("version %v", mon.Version())
	}
	mon.Close()
	pid, err := store.Read(t.Context(), fmt.Sprintf("/local/domain/%d/image/device-model-pid", dom))
	if err != nil {
		t.Fatal(err)
	}
	if err := models.Stop(t.Context(), dom); err != nil {
		t.Error(err)
	}
	gone(t, pid, dom)
}
