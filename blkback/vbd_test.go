package blkback

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"goxl/backends"
	"goxl/backends/backtest"
	"goxl/blkback/blkif"
	"goxl/blkback/disk"
	"goxl/xenstore/wire"
)

const vdev = 51712

// daemon is a manager with a driver, as cmd/blkback has them.
type daemon struct {
	*backtest.Machine
	t    *testing.T
	dir  string
	drv  *Driver
	stop func()
}

func startDaemon(t *testing.T) *daemon {
	d := &daemon{Machine: backtest.New(t), t: t, dir: t.TempDir()}
	d.run()
	return d
}

func (d *daemon) run() {
	var err error
	if d.drv, err = NewDriver(Options{Dir: filepath.Join(d.dir, "run")}); err != nil {
		d.t.Fatal(err)
	}
	store := d.Dial()
	if err := d.drv.Sweep(d.t.Context(), store, 0); err != nil {
		d.t.Fatal(err)
	}
	m := backends.New(backends.Options{Store: store, Xen: d, Kind: Kind, FrontKind: FrontKind, Driver: d.drv})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	var once sync.Once
	d.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				d.t.Error(err)
			}
			store.Close()
			if h := d.Held(); h != "" {
				d.t.Errorf("the daemon left %s", h)
			}
		})
	}
	d.t.Cleanup(d.stop)
}

// addDisk gives guest 7 a raw disk of 4 MiB.
func (d *daemon) addDisk(edit map[string]string) (backends.ID, string) {
	d.t.Helper()
	image := filepath.Join(d.dir, "disk.img")
	if err := os.WriteFile(image, bytes.Repeat([]byte{0x5a}, 4<<20), 0o600); err != nil {
		d.t.Fatal(err)
	}
	back := map[string]string{"params": "aio:" + image, "mode": "w", "device-type": "disk", "removable": "0",
		"discard-enable": "1", "type": "qdisk", ServerKey: ServerValue}
	for k, v := range edit {
		back[k] = v
	}
	id := backends.ID{Dom: 7, Dev: vdev}
	d.AddDevice(Kind, FrontKind, id, back)
	return id, image
}

func (d *daemon) back(key string) string {
	return backends.BackPath(0, Kind, backends.ID{Dom: 7, Dev: vdev}) + "/" + key
}

func frontWrite(g *backtest.Guest, key string, v any) {
	g.Write(fmt.Sprintf("device/vbd/%d/%s", vdev, key), fmt.Sprint(v))
}

// connect makes queues with rings of so many pages and tells the backend.
func (d *daemon) connect(queues, pages int) []*frontRing {
	d.t.Helper()
	g := d.Guest(7)
	var rings []*frontRing
	frontWrite(g, "protocol", "x86_64-abi")
	if queues > 1 {
		frontWrite(g, "multi-queue-num-queues", queues)
	}
	order := 0
	for 1<<order < pages {
		order++
	}
	if pages > 1 {
		frontWrite(g, "ring-page-order", order)
	}
	for i := range queues {
		f := newFrontRing(d.t, g, blkif.X86_64, pages)
		dir := ""
		if queues > 1 {
			dir = fmt.Sprintf("queue-%d/", i)
		}
		for n, p := range f.pages {
			if pages == 1 {
				frontWrite(g, dir+"ring-ref", p.Ref)
			} else {
				frontWrite(g, fmt.Sprintf("%sring-ref%d", dir, n), p.Ref)
			}
		}
		frontWrite(g, dir+"event-channel", f.port.ID)
		rings = append(rings, f)
	}
	frontWrite(g, "state", 3)
	return rings
}

func TestDiskOfAGuest(t *testing.T) {
	d := startDaemon(t)
	_, image := d.addDisk(nil)
	d.Await(d.back("state"), "2")
	for key, want := range map[string]string{"feature-flush-cache": "1", "feature-persistent": "0", "max-ring-page-order": "4",
		"feature-max-indirect-segments": "256", "multi-queue-max-queues": "4", "sectors": "8192", "hotplug-status": "connected"} {
		if got := d.Read(d.back(key)); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	rings := d.connect(3, 4)
	d.Await(d.back("state"), "4")
	frontWrite(d.Guest(7), "state", 4)
	for n, f := range rings {
		p := guestPages(f.g, 20)
		for i := range p {
			copy(p[i].Bytes, fmt.Sprintf("queue %d page %d", n, i))
		}
		if s := f.do(f.data(blkif.Write, uint64(n)*200, whole(p))); s != blkif.OK {
			t.Errorf("queue %d: %d", n, s)
		}
	}
	// The daemon ends and comes back, twice; the guest notices nothing.
	for range 2 {
		d.stop()
		d.run()
		for n, f := range rings {
			p := guestPages(f.g, 20)
			if s := f.do(f.data(blkif.Read, uint64(n)*200, whole(p))); s != blkif.OK || !strings.HasPrefix(string(p[19].Bytes), fmt.Sprintf("queue %d page 19", n)) {
				t.Errorf("queue %d: %d, %.20q", n, s, p[19].Bytes)
			}
		}
	}
	if s := d.drv.Stats(); len(s) != 1 || s[0].Read.Requests != 3 || s[0].Path != image {
		t.Errorf("counted %+v", s)
	}
	d.Detach(Kind, FrontKind, backends.ID{Dom: 7, Dev: vdev}, false)
	frontWrite(d.Guest(7), "state", 6)
	d.Await(d.back("state"), "6")
	if b, err := os.ReadFile(image); err != nil || !bytes.HasPrefix(b[200*512:], []byte("queue 1 page 0")) {
		t.Errorf("the image lacks what was written: %v", err)
	}
	if left, _ := os.ReadDir(filepath.Join(d.dir, "run")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestDiskGrows holds that a connected guest is told, and may use, more sectors.
func TestDiskGrows(t *testing.T) {
	d := startDaemon(t)
	_, image := d.addDisk(nil)
	d.Await(d.back("state"), "2")
	f := d.connect(1, 1)[0]
	d.Await(d.back("state"), "4")
	p := guestPages(f.g, 1)
	if s := f.do(f.data(blkif.Read, 8192, whole(p))); s != blkif.Error {
		t.Errorf("beyond the end: %d", s)
	}
	if err := os.Truncate(image, 8<<20); err != nil {
		t.Fatal(err)
	}
	if err := d.Store.Write(context.Background(), d.back("resize"), "1"); err != nil { // any change makes it look
		t.Fatal(err)
	}
	d.Await(d.back("sectors"), "16384")
	if s := f.do(f.data(blkif.Read, 8192, whole(p))); s != blkif.OK {
		t.Errorf("the new part: %d", s)
	}
	frontWrite(f.g, "state", 6)
	d.Await(d.back("state"), "6")
}

func TestReadOnlyDisk(t *testing.T) {
	d := startDaemon(t)
	d.addDisk(map[string]string{"mode": "r"})
	d.Await(d.back("state"), "2")
	if v := d.Read(d.back("info")); v != "4" {
		t.Errorf("info is %q", v)
	}
	f := d.connect(1, 1)[0]
	d.Await(d.back("state"), "4")
	p := guestPages(f.g, 1)
	if s := f.do(f.data(blkif.Write, 0, whole(p))); s != blkif.Error {
		t.Errorf("a write: %d", s)
	}
	if s := f.do(blkif.Request{Op: blkif.Flush}); s != blkif.OK {
		t.Errorf("a flush: %d", s)
	}
	if s := f.do(f.data(blkif.Read, 0, whole(p))); s != blkif.OK || p[0].Bytes[5] != 0x5a {
		t.Errorf("a read: %d", s)
	}
	frontWrite(f.g, "state", 6)
	d.Await(d.back("state"), "6")
}

// TestWrongNodes connects with nodes that make no sense, and then with good ones.
func TestWrongNodes(t *testing.T) {
	for name, edit := range map[string]func(g *backtest.Guest){
		"no queues":       func(g *backtest.Guest) { frontWrite(g, "multi-queue-num-queues", 0) },
		"too many queues": func(g *backtest.Guest) { frontWrite(g, "multi-queue-num-queues", 5) },
		"a queue missing": func(g *backtest.Guest) { frontWrite(g, "multi-queue-num-queues", 2) },
		"too many pages":  func(g *backtest.Guest) { frontWrite(g, "ring-page-order", 5) },
		"pages missing":   func(g *backtest.Guest) { frontWrite(g, "ring-page-order", 1); frontWrite(g, "ring-ref0", 9) },
		"a page twice": func(g *backtest.Guest) {
			frontWrite(g, "ring-page-order", 1)
			frontWrite(g, "ring-ref0", 9)
			frontWrite(g, "ring-ref1", 9)
		},
		"three pages":         func(g *backtest.Guest) { frontWrite(g, "num-ring-pages", 3) },
		"an unknown protocol": func(g *backtest.Guest) { frontWrite(g, "protocol", "sparc") },
	} {
		t.Run(name, func(t *testing.T) {
			d := startDaemon(t)
			d.addDisk(nil)
			d.Await(d.back("state"), "2")
			g := d.Guest(7)
			f := newFrontRing(t, g, blkif.X86_64, 1)
			frontWrite(g, "ring-ref", f.pages[0].Ref)
			frontWrite(g, "event-channel", f.port.ID)
			edit(g)
			frontWrite(g, "state", 3)
			d.Await(d.back("state"), "5")
			if v := d.Read(d.back("error")); v == "" {
				t.Error("no error is told")
			}
			frontWrite(g, "state", 6)
			d.Await(d.back("state"), "6")
			if left, _ := os.ReadDir(filepath.Join(d.dir, "run")); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// awaitLook returns when the daemon has looked at the devices that there are: at one
// that is added, which it refuses.
func (d *daemon) awaitLook() {
	id := backends.ID{Dom: 7, Dev: vdev + 16}
	d.AddDevice(Kind, FrontKind, id, map[string]string{"params": "", "type": "qdisk", ServerKey: ServerValue})
	d.Await(backends.BackPath(0, Kind, id)+"/state", "6")
}

// TestWhatIsNotServed are disks that have to be left alone or refused.
func TestWhatIsNotServed(t *testing.T) {
	for name, tt := range map[string]struct {
		edit  map[string]string
		state string
		says  string
	}{
		"left to QEMU":      {map[string]string{ServerKey: ""}, "1", ""},
		"no such file":      {map[string]string{"params": "aio:/nonexistent/image"}, "6", "no such file"},
		"no format":         {map[string]string{"params": "/dev/null"}, "6", "want FORMAT:PATH"},
		"unknown format":    {map[string]string{"params": "cow:/dev/null"}, "6", "cow"},
		"not absolute":      {map[string]string{"params": "aio:disk.img"}, "6", "absolute"},
		"a directory":       {map[string]string{"params": "aio:/tmp"}, "6", "/tmp"},
		"a char device":     {map[string]string{"params": "aio:/dev/zero"}, "6", "/dev/zero"},
		"nothing of params": {map[string]string{"params": ""}, "6", "params"},
	} {
		t.Run(name, func(t *testing.T) {
			d := startDaemon(t)
			d.addDisk(tt.edit)
			d.Await(d.back("state"), tt.state)
			d.awaitLook()
			d.stop()
			if v := d.Read(d.back("state")); v != tt.state {
				t.Errorf("state is %q at the end", v)
			}
			if v := d.Read(d.back("hotplug-error")); !strings.Contains(v, tt.says) || (v == "") != (tt.says == "") {
				t.Errorf("hotplug-error is %q", v)
			}
		})
	}
}

// TestPathOfAGuestIsRefused gives the node with the path to the guest, which no
// toolstack does.
func TestPathOfAGuestIsRefused(t *testing.T) {
	d := startDaemon(t)
	d.addDisk(map[string]string{ServerKey: ""})
	ctx := context.Background()
	d.Guest(7)
	if err := d.Store.SetPerms(ctx, d.back("params"), []wire.Perm{{Access: wire.None, Dom: 7}}); err != nil {
		t.Fatal(err)
	}
	if err := d.Store.Write(ctx, d.back(ServerKey), ServerValue); err != nil {
		t.Fatal(err)
	}
	d.Await(d.back("state"), "6")
	if v := d.Read(d.back("hotplug-error")); !strings.Contains(v, "belongs to domain 7") {
		t.Errorf("hotplug-error is %q", v)
	}
}

// TestLostJournal restarts the daemon without its journal under a connected guest: the
// disk is closed, since nobody knows what was under way.
func TestLostJournal(t *testing.T) {
	d := startDaemon(t)
	d.addDisk(nil)
	d.Await(d.back("state"), "2")
	f := d.connect(1, 1)[0]
	d.Await(d.back("state"), "4")
	frontWrite(f.g, "state", 4)
	d.stop()
	if err := os.RemoveAll(filepath.Join(d.dir, "run")); err != nil {
		t.Fatal(err)
	}
	d.run()
	d.Await(d.back("state"), "5")
	if v := d.Read(d.back("hotplug-error")); !strings.Contains(v, "journal") {
		t.Errorf("hotplug-error is %q", v)
	}
	frontWrite(f.g, "state", 6)
	d.Await(d.back("state"), "6")
}

func TestParsePlace(t *testing.T) {
	for _, tt := range []struct {
		params, path string
		format       disk.Format // "": refused
	}{
		{"aio:/a", "/a", disk.Raw},
		{"qcow2:/a:b", "/a:b", disk.QCOW2},
		{"nbd:nbd://example.org:1/x", "nbd://example.org:1/x", disk.NBD},
		{"nbd:nbd+unix:///x?socket=/run/x", "nbd+unix:///x?socket=/run/x", disk.NBD},
		{"aio:a", "", ""},
		{"aio:nbd://example.org/x", "", ""},
		{"aio:", "", ""},
		{"/a", "", ""},
		{"carrier:/pigeon", "", ""},
	} {
		p, err := parsePlace(backends.Keys{"params": tt.params})
		if (err != nil) != (tt.format == "") || p.path != tt.path || p.format != tt.format {
			t.Errorf("%q: %q as %q, %v", tt.params, p.path, p.format, err)
		}
	}
}
