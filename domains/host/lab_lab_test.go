package host_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"goxl/domains/host"
	"goxl/xenctrl/xentest"
)

// TestLabKnownScripts checks that the distribution's scripts are known, and that
// no change to them or to what they read goes unnoticed.
func TestLabKnownScripts(t *testing.T) {
	xentest.NeedXen(t)
	h := host.New(host.DefaultPaths())
	for script, want := range map[string]func(host.Behaviour) bool{
		"block":      func(b host.Behaviour) bool { return b.Block },
		"vif-bridge": func(b host.Behaviour) bool { return b.Bridge },
	} {
		if what, ok := h.Known(filepath.Join(h.Scripts, script)); !ok || !want(what) {
			t.Errorf("%s: %+v, %v", script, what, ok)
		}
	}
	if what, ok := h.Known(filepath.Join(h.Scripts, "vif-route")); ok {
		t.Errorf("vif-route is known as %+v", what)
	}
	for _, change := range []string{"block", "block-common.sh", "locking.sh", "hotplugpath.sh", "xen-hotplug-common.sh"} {
		dir := filepath.Join(t.TempDir(), "scripts")
		if err := os.CopyFS(dir, os.DirFS(h.Scripts)); err != nil {
			t.Fatal(err)
		}
		if _, ok := h.Known(filepath.Join(dir, "block")); !ok {
			t.Error("a copy is not known")
		}
		f, err := os.OpenFile(filepath.Join(dir, change), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(f, "logger somebody was here")
		f.Close()
		if _, ok := h.Known(filepath.Join(dir, "block")); ok {
			t.Errorf("a change to %s goes unnoticed", change)
		}
	}
}

func TestLabLoop(t *testing.T) {
	xentest.NeedXen(t)
	h := host.New(host.DefaultPaths())
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 1<<20); err != nil {
		t.Fatal(err)
	}
	for _, ro := range []bool{true, false} {
		loop, err := h.AttachLoop(file, ro)
		if err == nil {
			err = errors.Join(loop.Keep(), loop.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		dev := loop.Path
		id, err := h.IDOf(file)
		if err != nil {
			t.Fatal(err)
		}
		found := func() (ours host.Loop, there bool) {
			loops, err := h.Loops()
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range loops {
				if l.Path == dev {
					return l, true
				}
			}
			return host.Loop{}, false
		}
		if l, ok := found(); !ok || l.File != id || l.Name != file {
			t.Errorf("loop device is %+v, %v", l, ok)
		}
		b := make([]byte, 5)
		f, err := os.OpenFile(dev, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.ReadAt(b, 0); err != nil || string(b) != "hello" {
			t.Errorf("%q, %v", b, err)
		}
		if _, err := f.WriteAt(b, 512); (err != nil) != ro {
			t.Errorf("read-only %v, writing: %v", ro, err)
		}
		f.Close()
		if err := h.DetachLoop(dev, "/etc/passwd"); err != nil {
			t.Error(err)
		}
		if _, ok := found(); !ok {
			t.Errorf("%s was freed in the name of another file", dev)
		}
		if err := h.DetachLoop(dev, file); err != nil {
			t.Error(err)
		}
		time.Sleep(100 * time.Millisecond)
		if l, ok := found(); ok && l.File == id {
			t.Errorf("%s is still there", dev)
		}
		if loop, err = h.AttachLoop(file, ro); err != nil {
			t.Fatal(err)
		}
		loop.Close() // without Keep, as when the process ends
		time.Sleep(100 * time.Millisecond)
		dev = loop.Path
		if l, ok := found(); ok && l.File == id {
			t.Errorf("%s outlived its user", dev)
		}
	}
	if _, err := h.AttachLoop(file+".none", true); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestLabBridge(t *testing.T) {
	xentest.NeedXen(t)
	h := host.New(host.DefaultPaths())
	n := os.Getpid() % 10000
	bridge, dev := fmt.Sprintf("devbr%d", n), fmt.Sprintf("devif%d", n)
	add := func(l netlink.Link) {
		if err := netlink.LinkAdd(l); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { netlink.LinkDel(l) })
	}
	br := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs()}
	br.Name, br.MTU = bridge, 1400
	add(br)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = dev
	add(&netlink.Veth{LinkAttrs: attrs, PeerName: dev + "p"})

	if _, err := h.ResolveBridge(bridge + "x"); !errors.Is(err, host.ErrNoBridge) {
		t.Errorf("missing bridge: %v", err)
	}
	if _, err := h.ResolveBridge("../" + bridge); !errors.Is(err, host.ErrNoBridge) {
		t.Errorf("a path: %v", err)
	}
	if name, err := h.ResolveBridge(bridge); name != bridge || err != nil {
		t.Errorf("%q, %v", name, err)
	}
	renamed := dev + "r"
	if err := h.RenameLink(dev, bridge); err == nil {
		t.Error("renamed to a name that is taken")
	}
	if err := h.RenameLink(dev, renamed); err != nil {
		t.Fatal(err)
	}
	mtu, err := h.JoinBridge(renamed, bridge, 0)
	if err != nil || mtu != 1400 {
		t.Fatalf("MTU %d, %v", mtu, err)
	}
	l, err := netlink.LinkByName(renamed)
	if err != nil {
		t.Fatal(err)
	}
	if a := l.Attrs(); a.MTU != 1400 || a.MasterIndex == 0 || a.HardwareAddr.String() != "fe:ff:ff:ff:ff:ff" {
		t.Errorf("port is %+v", a)
	}
	if _, err := h.JoinBridge(renamed, bridge, 1300); err != nil {
		t.Errorf("joining twice: %v", err)
	}
	if err := h.LeaveBridge(renamed); err != nil {
		t.Error(err)
	}
	if l, _ := netlink.LinkByName(renamed); l.Attrs().MasterIndex != 0 {
		t.Error("still a port")
	}
	if err := h.LeaveBridge(dev); err != nil {
		t.Errorf("an interface that is gone: %v", err)
	}
}
