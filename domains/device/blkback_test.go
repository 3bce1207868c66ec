//go:build linux

package device

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// runDaemon plays a running daemon for disks that serves the given formats, until the
// returned function is called.
func (w *world) runDaemon(formats string) (stop func()) {
	w.Helper()
	path := filepath.Join(w.dir, "blkback-lock")
	w.must(os.WriteFile(path, []byte("formats "+formats+"\n"), 0o600))
	f, err := os.Open(path)
	w.must(err)
	w.must(unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB))
	w.set.Host.Blkback = path
	return func() { f.Close() }
}

func TestLeaveToDaemon(t *testing.T) {
	raw := Disk{Backend: BackendQDisk, Target: "/a"}
	qcow2 := Disk{Backend: BackendQDisk, Format: FormatQCow2, Target: "/b"}
	vhd := Disk{Backend: BackendQDisk, Format: FormatVHD, Target: "/c"}
	phy := Disk{Backend: BackendPhy, Target: "/d"}
	elsewhere := Disk{Backend: BackendQDisk, Format: FormatVHD, BackendDom: 3}
	cd := Disk{Backend: BackendQDisk, CDROM: true}
	server := Disk{Backend: BackendQDisk, Target: "nbd://example.org/x"}
	for _, tt := range []struct {
		name  string
		disks []Disk
		want  string // who serves each: daemon, other
	}{
		{"one of a server, which the daemon does not know", []Disk{server}, "o"},
		{"an image", []Disk{qcow2}, "d"},
		{"two and one of the kernel's", []Disk{raw, phy, qcow2}, "dod"},
		{"one that the daemon does not know", []Disk{raw, vhd}, "oo"},
		{"one of another domain", []Disk{qcow2, elsewhere}, "do"},
		{"a CD drive", []Disk{cd, qcow2}, "oo"},
		{"none", []Disk{phy}, "o"},
	} {
		w := newWorld(t, nil)
		stop := w.runDaemon("raw qcow2")
		check := func(when, want string) {
			var disks []*Disk
			for _, d := range tt.disks {
				disks = append(disks, &d)
			}
			w.set.LeaveToDaemon(disks...)
			got := ""
			for _, d := range disks {
				got += map[bool]string{true: "d", false: "o"}[d.Daemon]
			}
			if got != want {
				t.Errorf("%s, %s: %s, want %s", tt.name, when, got, want)
			}
		}
		check("with the daemon", tt.want)
		stop()
		check("without", strings.Repeat("o", len(tt.disks)))
	}
}

// TestQDiskOfTheDaemon attaches an image to a running guest without QEMU.
func TestQDiskOfTheDaemon(t *testing.T) {
	w := newWorld(t, nil)
	defer w.runDaemon("raw qcow2")()
	w.set.State = func(context.Context, DomID) (GuestState, error) { return GuestState{Paused: true}, nil }
	o := AddOptions{Type: PVH, Running: true}
	back := "/local/domain/0/backend/qdisk/5/51728"
	answer := func(state, errText string) {
		ctx := context.WithoutCancel(t.Context())
		if _, err := w.store.Await(ctx, back+"/state", func(v string, _ bool) bool { return v == "1" }); err != nil {
			return
		}
		if errText != "" {
			_ = w.store.Write(ctx, back+"/hotplug-error", errText)
		}
		_ = w.store.Write(ctx, back+"/state", state)
		if state == "2" {
			_, _ = w.store.Await(ctx, back+"/state", func(v string, _ bool) bool { return v == "5" })
			_ = w.store.Write(ctx, back+"/state", "6")
		}
	}
	disk := func() *Disk { return &Disk{VDev: "xvdb", Target: w.file, Format: FormatQCow2, Writable: true} }

	go answer("6", "no such image")
	if _, err := w.set.AddDisk(t.Context(), 5, disk(), o); err == nil || !strings.Contains(err.Error(), "no such image") {
		t.Errorf("an image that cannot be opened: %v", err)
	}
	if left := w.left(); len(left) > 0 {
		t.Fatalf("left: %v", left)
	}
	if _, err := w.set.AddDisk(t.Context(), 5, disk(), o); !errors.Is(err, ErrTimeout) {
		t.Errorf("a daemon that does not answer: %v", err)
	}
	done := make(chan struct{})
	go func() { defer close(done); answer("2", "") }()
	dev, err := w.set.AddDisk(t.Context(), 5, disk(), o)
	w.must(err)
	for key, want := range map[string]string{ServerKey: serverBlkback, "params": "qcow2:" + w.file, "type": "qdisk"} {
		for _, dir := range []string{dev.BackendPath(), dev.LibxlPath()} {
			if v, err := w.store.Read(t.Context(), dir+"/"+key); v != want || err != nil {
				t.Errorf("%s/%s is %q, %v", dir, key, v, err)
			}
		}
	}
	// A guest that is paused cannot close a QEMU's disk, but the daemon closes its own.
	began := time.Now()
	w.must(w.set.Remove(t.Context(), dev, Forced))
	<-done
	if took := time.Since(began); took >= w.set.Timeouts.QEMU {
		t.Errorf("removing took %v: as long as QEMU is given", took)
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestDiskOnServer: our daemon serves it, or nobody does.
func TestDiskOnServer(t *testing.T) {
	w := newWorld(t, nil)
	d := Disk{VDev: "xvda", Target: "nbd+unix:///x?socket=/run/x", Backend: BackendQDisk, Writable: true}
	w.set.LeaveToDaemon(&d)
	if err := w.set.CheckServers(&d); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("without a daemon: %v", err)
	}
	defer w.runDaemon("raw nbd")()
	w.set.LeaveToDaemon(&d)
	w.must(w.set.CheckServers(&d))
	dev, err := d.Device(5)
	w.must(err)
	params := ""
	for _, n := range d.nodes(dev, w.set.env()).back {
		if n.key == "params" {
			params = n.value
		}
	}
	if want := "nbd:nbd+unix:///x?socket=/run/x"; !d.Daemon || params != want {
		t.Errorf("params %q by daemon %t, want %q", params, d.Daemon, want)
	}
}
