//go:build linux

package devd_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goxl/domains/devd"
	"goxl/domains/device"
	"goxl/xenstore"
	"goxl/xenstore/wire"
)

var pvh = device.AddOptions{Type: device.PVH}

// TestVIF has another guest's vif plugged and removed, with the toolstack in domain 0
// at the other end.
func TestVIF(t *testing.T) {
	w := newWorld(t)
	w.trust()
	w.backends()
	w.devd()
	dev, err := w.toolstack.AddNIC(t.Context(), 5, &device.NIC{DevID: 0, BackendDom: driver, Bridge: "xenbr0"}, pvh)
	w.must(err)
	w.await(dev.BackendPath()+"/state", "4")
	if br := w.bridge("vif5.0"); br != "xenbr0" {
		t.Errorf("vif5.0 is a port of %q", br)
	}
	for path, want := range map[string]string{
		dev.BackendPath(): "[n3 r5]", dev.BackendPath() + "/hotplug-status": "[n3 r5]",
		dev.FrontendPath(): "[n5 r3]", dev.FrontendPath() + "/mtu": "[n3 r5]", self + "/backend/vif/5": "[n0 r3]",
	} {
		perms, err := w.dom0.Perms(t.Context(), path)
		if w.must(err); fmt.Sprint(perms) != want {
			t.Errorf("%s has the permissions %v, want %s", path, perms, want)
		}
	}
	w.must(w.toolstack.Remove(t.Context(), dev, device.Safe))
	if left := w.left(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestScripts has the script that the toolstack names run in the driver domain, once.
func TestScripts(t *testing.T) {
	w := newWorld(t)
	w.backends()
	stop := w.devd()
	script := w.script(`echo "$1 $2 $vif $XENBUS_PATH" >>$DIR/ran`)
	nic := &device.NIC{DevID: 0, BackendDom: driver, Script: script}
	dev, err := w.toolstack.AddNIC(t.Context(), 5, nic, pvh)
	w.must(err)
	w.eventually("the script", func() bool { return w.notes("ran") != "" })
	w.must(w.dom0.Write(t.Context(), dev.BackendPath()+"/hotplug-status", "connected")) // as the script would
	w.await(dev.BackendPath()+"/state", "4")
	stop()
	stop = w.devd() // takes it over
	w.must(w.dom0.Write(t.Context(), dev.BackendPath()+"/state", "2"))
	w.await(dev.BackendPath()+"/state", "4")
	stop()
	w.must(w.dom0.Write(t.Context(), dev.BackendPath()+"/online", "0")) // nobody looks
	w.must(w.dom0.Write(t.Context(), dev.BackendPath()+"/state", "5"))
	w.await(dev.BackendPath()+"/state", "6")
	w.devd()
	w.await(dev.BackendPath()+"/state", "")
	if ran, want := w.notes("ran"), "online type_if=vif vif5.0 backend/vif/5/0\noffline type_if=vif vif5.0 backend/vif/5/0\n"; ran != want {
		t.Errorf("scripts that ran:\n%swant:\n%s", ran, want)
	}
	w.must(w.toolstack.Remove(t.Context(), dev, device.Safe))
	if left := w.left(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestScriptFails has the cause stand where one looks for it, and no second try until
// the next daemon.
func TestScriptFails(t *testing.T) {
	w := newWorld(t)
	w.backends()
	stop := w.devd()
	script := w.script(`echo "$1" >>$DIR/ran; exit 7`)
	dev, err := w.toolstack.AddNIC(t.Context(), 5, &device.NIC{DevID: 0, BackendDom: driver, Script: script}, pvh)
	w.must(err) // the toolstack does not wait for the script, as libxl's does not
	w.await(dev.BackendPath()+"/hotplug-status", "error")
	text, err := w.dom0.Read(t.Context(), dev.BackendPath()+"/hotplug-error")
	if w.must(err); !strings.Contains(text, "exit status 7") {
		t.Errorf("hotplug-error is %q", text)
	}
	w.must(w.dom0.Write(t.Context(), dev.BackendPath()+"/feature-any", "1"))
	time.Sleep(100 * time.Millisecond)
	if ran := w.notes("ran"); ran != "online\n" {
		t.Errorf("scripts that ran: %q", ran)
	}
	stop()
	w.devd()
	w.eventually("the second try", func() bool { return w.notes("ran") == "online\nonline\n" })
	w.must(w.toolstack.Remove(t.Context(), dev, device.Safe))
	if left := w.left(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestStopFinishes ends the daemon in the middle of a script.
func TestStopFinishes(t *testing.T) {
	w := newWorld(t)
	w.backends()
	stop := w.devd()
	script := w.script(`echo begun >>$DIR/ran; while [ ! -e $DIR/go ]; do sleep 0.02; done; echo done >>$DIR/ran`)
	_, err := w.toolstack.AddNIC(t.Context(), 5, &device.NIC{DevID: 0, BackendDom: driver, Script: script}, pvh)
	w.must(err)
	w.eventually("the script", func() bool { return w.notes("ran") == "begun\n" })
	time.AfterFunc(100*time.Millisecond, func() { os.WriteFile(filepath.Join(w.dir, "go"), nil, 0o600) })
	stop()
	if ran := w.notes("ran"); ran != "begun\ndone\n" {
		t.Errorf("when the daemon had ended the script had said %q", ran)
	}
}

// disk gives a guest a file of the driver domain.
func (w *world) disk(dom device.DomID) (device.Device, error) {
	file := filepath.Join(w.dir, "disk.img")
	w.must(os.WriteFile(file, make([]byte, 4096), 0o600))
	return w.toolstack.AddDisk(w.Context(), dom, &device.Disk{VDev: "xvdb", Target: file, Writable: true, BackendDom: driver}, pvh)
}

func TestDisk(t *testing.T) {
	w := newWorld(t)
	w.trust()
	w.backends()
	w.devd()
	dev, err := w.disk(5)
	w.must(err)
	w.await(dev.BackendPath()+"/state", "4")
	if loops := w.kernel.Loops(); len(loops) != 1 {
		t.Errorf("loop devices: %v", loops)
	}

	other, err := w.disk(6)
	w.must(err)
	w.await(other.BackendPath()+"/hotplug-status", "busy")
	if loops := w.kernel.Loops(); len(loops) != 1 {
		t.Errorf("loop devices of a file that another guest writes: %v", loops)
	}
	w.must(w.toolstack.Remove(t.Context(), other, device.Safe))

	w.must(w.toolstack.Remove(t.Context(), dev, device.Safe))
	if loops := w.kernel.Loops(); len(loops) > 0 {
		t.Errorf("loop devices left: %v", loops)
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestNodesTorn has the toolstack, whose patience has ended, take the nodes away.
func TestNodesTorn(t *testing.T) {
	w := newWorld(t)
	w.trust()
	w.backends()
	w.devd()
	dev, err := w.disk(5)
	w.must(err)
	w.await(dev.BackendPath()+"/state", "4")
	w.must(w.dom0.Rm(t.Context(), dev.BackendPath()))
	w.eventually("the loop device to go", func() bool { return len(w.kernel.Loops()) == 0 })
}

// TestImage leaves a disk image to blkback, once that runs.
func TestImage(t *testing.T) {
	w := newWorld(t)
	w.toolstack.State = func(context.Context, device.DomID) (device.GuestState, error) {
		return device.GuestState{Paused: true}, nil // as a guest that is destroyed
	}
	w.devd()
	dev, err := w.toolstack.AddDisk(t.Context(), 5, &device.Disk{VDev: "xvdb", Target: "/there.qcow2", Format: device.FormatQCow2, BackendDom: driver}, pvh)
	w.must(err)
	w.await(dev.BackendPath()+"/hotplug-status", "error")
	w.blkback("raw qcow2")
	w.await(dev.BackendPath()+"/goxl-server", "blkback")
	w.await(dev.BackendPath()+"/hotplug-error", "")
	for _, s := range []string{dev.FrontendPath(), dev.BackendPath()} {
		w.must(w.dom0.Write(t.Context(), s+"/state", "4"))
	}
	// What libxl does with an image of a guest that is destroyed: no farewell.
	w.must(w.dom0.Write(t.Context(), dev.BackendPath()+"/state", "6"))
	w.await(dev.BackendPath()+"/state", "")
	w.must(w.toolstack.RemoveAll(t.Context(), 5))
	if left := w.left(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestImageOfAnotherFormat refuses it with the cause, and removes it when asked to,
// although nobody ever served it.
func TestImageOfAnotherFormat(t *testing.T) {
	w := newWorld(t)
	w.toolstack.State = func(context.Context, device.DomID) (device.GuestState, error) {
		return device.GuestState{Paused: true}, nil
	}
	w.blkback("raw qcow2")
	w.devd()
	dev, err := w.toolstack.AddDisk(t.Context(), 5, &device.Disk{VDev: "xvdb", Target: "/there.qed", Format: device.FormatQED, BackendDom: driver}, pvh)
	w.must(err)
	w.await(dev.BackendPath()+"/hotplug-status", "error")
	text, err := w.dom0.Read(t.Context(), dev.BackendPath()+"/hotplug-error")
	if w.must(err); !strings.Contains(text, `format "qed", but raw, qcow2`) {
		t.Errorf("hotplug-error is %q", text)
	}
	w.must(w.toolstack.RemoveAll(t.Context(), 5))
	if left := w.left(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// blkback plays goxl's daemon for disks in the driver domain.
func (w *world) blkback(formats string) {
	f, err := os.Create(w.host.Blkback)
	w.must(err)
	w.Cleanup(func() { f.Close() })
	w.must(unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB))
	_, err = f.WriteString("formats " + formats + "\n")
	w.must(err)
}

// TestOddNodes has nodes that no toolstack writes harm nobody.
func TestOddNodes(t *testing.T) {
	w := newWorld(t)
	w.trust()
	w.backends()
	odd := []string{"vif/05/0", "vif/5/00", "vif/5/-1", "vif/70000/0", "nothing/5/0", "vif/x/y", "vif/9/0"}
	for _, p := range odd {
		w.must(w.dom0.Write(t.Context(), self+"/backend/"+p+"/state", "9"))
		w.must(w.dom0.Write(t.Context(), self+"/backend/"+p+"/online", "yes"))
	}
	w.devd()
	dev, err := w.toolstack.AddNIC(t.Context(), 5, &device.NIC{DevID: 0, BackendDom: driver}, pvh)
	w.must(err)
	w.await(dev.BackendPath()+"/state", "4")
	w.must(w.toolstack.Remove(t.Context(), dev, device.Safe))
	for _, p := range odd {
		w.await(self+"/backend/"+p+"/state", "9")
	}
}

func TestNotForDomain0(t *testing.T) {
	w := newWorld(t)
	err := devd.Run(t.Context(), devd.Options{Store: w.dom0, Devices: w.toolstack})
	if !errors.Is(err, devd.ErrToolstack) {
		t.Error(err)
	}
}

// TestComeAndGo has a device made anew as soon as it is gone.
func TestComeAndGo(t *testing.T) {
	w := newWorld(t)
	w.trust()
	w.backends()
	w.devd()
	for range 40 {
		dev, err := w.toolstack.AddNIC(t.Context(), 5, &device.NIC{DevID: 0, BackendDom: driver}, pvh)
		w.must(err)
		w.await(dev.BackendPath()+"/state", "4")
		w.must(w.toolstack.Remove(t.Context(), dev, device.Safe))
	}
}

// TestManyDevices has many plugged at a time and all of them removed.
func TestManyDevices(t *testing.T) {
	w := newWorld(t)
	w.trust()
	w.backends()
	w.devd()
	for id := range 12 {
		w.kernel.AddLink(fmt.Sprintf("vif5.%d", id))
		_, err := w.toolstack.AddNIC(t.Context(), 5, &device.NIC{DevID: id, BackendDom: driver}, pvh)
		w.must(err)
	}
	w.must(w.toolstack.RemoveAll(t.Context(), 5))
	if left := w.left(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if loops := slices.Collect(maps.Keys(w.kernel.Loops())); len(loops) > 0 {
		t.Errorf("loops %v", loops)
	}
}

// TestQuota has xenstored refuse the daemon its first transactions.
func TestQuota(t *testing.T) {
	w := newWorld(t)
	w.trust()
	w.backends()
	refuse := 3
	store, err := xenstore.Dial(t.Context(), xenstore.WithConn(w.srv.PipeBefore(driver, func(op wire.Op) syscall.Errno {
		if op == wire.OpTransactionStart && refuse > 0 {
			refuse--
			return syscall.ENOSPC
		}
		return 0
	})))
	w.must(err)
	stop := w.devdOn(store)
	dev, err := w.toolstack.AddNIC(t.Context(), 5, &device.NIC{DevID: 0, BackendDom: driver}, pvh)
	w.must(err)
	w.await(dev.BackendPath()+"/state", "4")
	stop()
	w.must(store.Close())
}

func (w *world) eventually(what string, f func() bool) {
	w.Helper()
	for end := time.Now().Add(10 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("waited in vain for %s", what)
		}
	}
}
