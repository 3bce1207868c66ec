package device_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goxl/domains/device"
	"goxl/domains/host"
)

func TestLabPVH(t *testing.T) { labDevices(t, device.PVH) }

func TestLabPV(t *testing.T) { labDevices(t, device.PV) }

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
		l.detach(before, "block-detach", dom, "xvdb")
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
		l.detach(before, "network-detach", dom, "0")
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
		defer loop.Close() // which frees it
		busy := l.state()
		l.remove(l.addDisk(device.Disk{VDev: "xvdc", Target: loop.Path}), device.Safe)
		l.settled("block device", busy)
		l.addDisk(device.Disk{VDev: "xvdc", Target: loop.Path})
		l.detach(busy, "block-detach", dom, "xvdc")
	})
	l.sub("scripted disk", func(l *lab) {
		d := device.Disk{VDev: "xvdd", Target: "dummy:" + file, Script: "block-dummy", Writable: true}
		l.remove(l.addDisk(d), device.Safe)
		l.settled("script", before)
		l.addDisk(d)
		l.detach(before, "block-detach", dom, "xvdd")
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
		l.detach(before, "network-detach", dom, "3")
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
