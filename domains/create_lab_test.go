package domains_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goxl/domains"
	"goxl/domains/device"
	"goxl/xenctrl/abi"
)

// A guest of ours and one of the genuine tool, from the same configuration, are
// the same to the last node, permission and byte of the stored configuration.
func TestLabCreateAsGenuine(t *testing.T) {
	for i, kind := range []string{"pv", "pvh"} {
		t.Run(kind, func(t *testing.T) {
			l := newLab(t, 1+i)
			text := l.config(kind)
			id := l.create(text, domains.CreateOptions{Paused: true})
			ours, oursJSON := l.nodes(id), l.userdata(id)
			if err := l.m.Destroy(l.ctx, id); err != nil {
				t.Fatal(err)
			}
			cfg := filepath.Join(l.dir, "cfg")
			if err := os.WriteFile(cfg, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			l.xl("create", "-q", "-p", "-e", cfg)
			gid, err := l.m.ByName(l.ctx, l.name)
			if err != nil {
				t.Fatal(err)
			}
			genuine, genuineJSON := l.nodes(gid), l.userdata(gid)
			if diff := cmp.Diff(genuine, ours); diff != "" {
				t.Errorf("nodes (-genuine +ours):\n%s", diff)
			}
			if diff := cmp.Diff(genuineJSON, oursJSON); diff != "" {
				t.Errorf("stored configuration (-genuine +ours):\n%s", diff)
			}
			// What the genuine one made, ours describes and takes down.
			theirs, err := l.m.ConfigOf(l.ctx, gid)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := string(l.m.ConfigJSON(theirs)), l.xl("list", "-l", fmt.Sprint(gid)); !strings.Contains(squeeze(want), squeeze(got)) {
				t.Errorf("configuration as list -l shows it:\n%s\nours:\n%s", want, got)
			}
			if err := l.m.Destroy(l.ctx, gid); err != nil {
				t.Error(err)
			}
		})
	}
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }

// A guest of ours lives through what both tools can do to it.
func TestLabLife(t *testing.T) {
	for i, kind := range []string{"pvh", "pv"} {
		t.Run(kind, func(t *testing.T) {
			l := newLab(t, 3+i)
			id := l.create(l.config(kind), domains.CreateOptions{})
			arg := fmt.Sprint(id)
			if got := strings.TrimSpace(l.xl("domid", l.name)); got != arg {
				t.Errorf("the genuine xl says domain %s, we made %s", got, arg)
			}
			l.xl("pause", arg)
			if d, err := l.m.Info(l.ctx, id); err != nil || !d.Paused {
				t.Errorf("%+v, %v: want it paused", d, err)
			}
			if err := l.m.Unpause(l.ctx, id); err != nil {
				t.Error(err)
			}
			if err := l.m.Rename(l.ctx, id, l.name+"-x"); err != nil {
				t.Error(err)
			}
			l.xl("rename", l.name+"-x", l.name)
			l.hotplug(id)
			l.powerOff(id)
			l.xl("destroy", arg)
		})
	}
}

// powerOff waits until the guest's init has loaded its network driver, and asks it
// to end: a guest that is still booting answers, and has no program to do it yet.
func (l *lab) powerOff(id abi.DomID) {
	l.Helper()
	state := fmt.Sprintf("/local/domain/%d/device/vif/0/state", id)
	l.until(id, "its network to connect", func(d domains.Domain) bool {
		if d.Shutdown {
			l.Fatalf("domain %d has ended by itself: %v", id, d.Reason)
		}
		v, err := l.m.Store().Read(l.ctx, state)
		return err == nil && v == "4"
	})
	for range 3 {
		if err := l.m.Shutdown(l.ctx, id, domains.AskPoweroff); err != nil {
			l.Log(err)
		}
		if l.within(2*time.Minute, id, func(d domains.Domain) bool { return d.Shutdown }) {
			break
		}
	}
	if d, err := l.m.Info(l.ctx, id); err != nil || !d.Shutdown || d.Reason != domains.Poweroff {
		l.Fatalf("%+v, %v: want it powered off", d, err)
	}
}

// until waits some minutes for a domain to come to what is wanted.
func (l *lab) until(id abi.DomID, what string, ok func(domains.Domain) bool) {
	l.Helper()
	if !l.within(6*time.Minute, id, ok) {
		l.Fatalf("domain %d: waited six minutes for %s", id, what)
	}
}

func (l *lab) within(limit time.Duration, id abi.DomID, ok func(domains.Domain) bool) bool {
	l.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		d, err := l.m.Info(l.ctx, id)
		if err != nil {
			l.Fatal(err)
		}
		if ok(d) {
			return true
		}
	}
	return false
}

// hotplug attaches and detaches a disk, and checks that the stored
// configuration follows and that the genuine tool can read it.
func (l *lab) hotplug(id abi.DomID) {
	l.Helper()
	spare := filepath.Join(l.dir, "spare.img")
	if err := os.WriteFile(spare, make([]byte, 1<<20), 0o644); err != nil {
		l.Fatal(err)
	}
	d := l.spec(fmt.Sprintf("name=\"x\"\ntype=\"pvh\"\nkernel=\"/k\"\ndisk=[%q]", spare+",raw,xvdb,rw")).Disks[0]
	if err := l.m.AttachDisk(l.ctx, id, &d); err != nil {
		l.Fatal(err)
	}
	if out := l.xl("list", "-l", fmt.Sprint(id)); !strings.Contains(out, `"vdev": "xvdb"`) {
		l.Errorf("the genuine xl does not see the new disk:\n%s", out)
	}
	if err := l.m.AttachDisk(l.ctx, id, &d); domains.CodeOf(err) != string(domains.DeviceExists) && domains.CodeOf(err) != string(domains.DeviceBusy) {
		l.Errorf("attached twice: %v", err)
	}
	if err := l.m.DetachDisk(l.ctx, id, "xvdb", device.Auto); err != nil {
		l.Errorf("detach: %v", err)
	}
	s, err := l.m.ConfigOf(l.ctx, id)
	if err != nil {
		l.Fatal(err)
	}
	if len(s.Disks) != 1 {
		l.Errorf("%d disks after detaching, want 1", len(s.Disks))
	}
}

// What cannot work ends in an error with a stable code, and leaves nothing.
func TestLabCreateFails(t *testing.T) {
	l := newLab(t, 5)
	bad := filepath.Join(l.dir, "bad-kernel")
	if err := os.WriteFile(bad, []byte("\x7fELF but not really"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		more string // added to the configuration
		want domains.Code
	}{
		{"missing kernel", `kernel="/nowhere/vmlinuz"`, domains.NoFile},
		{"not a kernel", fmt.Sprintf("kernel=%q", bad), domains.BadKernel},
		{"name of domain 0", `name="Domain-0"`, domains.NameTaken},
		{"missing disk", `disk=["/nowhere/disk.img,raw,xvda,rw"]`, domains.NoFile},
		{"missing bridge", `vif=["bridge=nosuchbr"]`, domains.DeviceFailed},
		{"more memory than there is", "memory=262144", domains.NoMemory},
		{"unknown pool", `pool="nosuchpool"`, domains.BadConfig},
		{"PCI device", `pci=["00:01.0"]`, domains.Unsupported},
		{"failing boot loader", `bootloader="/bin/false"`, domains.Bootloader},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id, err := l.m.Create(l.ctx, l.spec(l.config("pvh", tt.more)), domains.CreateOptions{})
			if err == nil {
				l.m.Destroy(l.ctx, id)
				t.Fatal("no error")
			}
			if got := domains.CodeOf(err); got != string(tt.want) {
				t.Errorf("code %q, want %q: %v", got, tt.want, err)
			}
			t.Log(err)
			l.checkNothingLeft()
		})
	}
}
