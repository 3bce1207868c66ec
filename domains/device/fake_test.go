package device

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"goxl/domains/host"
	"goxl/xenstore"
	"goxl/xenstore/server"
	"goxl/xenstore/wire"
)

// world is a store with guest 5 in it, a backend driver, and a host whose hotplug
// scripts only take notes.
type world struct {
	*testing.T
	srv   *server.Server
	store *xenstore.Client
	set   *Set
	dir   string
	file  string // a disk image
}

func newWorld(t *testing.T, b *fakeBackend) *world {
	w := &world{T: t, srv: server.New(server.Options{}), dir: t.TempDir()}
	dial := func() *xenstore.Client {
		c, err := xenstore.Dial(t.Context(), xenstore.WithConn(w.srv.Pipe(0)))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	w.store = dial()
	w.file = filepath.Join(w.dir, "disk.img")
	if err := os.WriteFile(w.file, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	p := host.DefaultPaths()
	p.Run, p.Lib, p.Scripts, p.Hotplug = w.dir, w.dir, w.dir, w.dir
	for _, name := range []string{"block", "vif-bridge", "block-dummy"} {
		w.script(name, `env | sort | grep -E '^(script|XENBUS|vif|netdev|INTERFACE)' > `+w.dir+`/env
echo "$0 $*" >> `+w.dir+`/ran`)
	}
	w.set = New(Options{
		Store: w.store, Host: host.New(p), Layout: LayoutOf(17),
		Timeouts: Timeouts{Attach: time.Second, Detach: time.Second, QEMU: 50 * time.Millisecond},
	})
	w.must(w.store.Write(t.Context(), "/libxl/5/type", "pvh")) // as every guest has
	read5 := []wire.Perm{{Access: wire.None, Dom: 0}, {Access: wire.Read, Dom: 5}}
	for _, path := range []string{"/local/domain/5", "/local/domain/5/device", "/libxl/5/device"} {
		w.must(w.store.Mkdir(t.Context(), path))
	}
	for _, path := range []string{"/local/domain/5", "/local/domain/5/device"} {
		w.must(w.store.SetPerms(t.Context(), path, read5))
	}
	stop := func() {}
	if b != nil {
		stop = b.run(t, dial())
	}
	t.Cleanup(func() {
		stop()
		w.store.Close()
		w.srv.Close()
	})
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// script writes a hotplug script.
func (w *world) script(name, text string) {
	w.must(os.WriteFile(filepath.Join(w.dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755))
}

// notes returns what the scripts wrote to a file.
func (w *world) notes(name string) string {
	b, _ := os.ReadFile(filepath.Join(w.dir, name))
	return strings.ReplaceAll(string(b), w.dir, "DIR")
}

// left returns the paths below which devices have nodes.
func (w *world) left() []string {
	var left []string
	for _, p := range w.srv.Paths() {
		if strings.HasPrefix(p, "/libxl/5/device/") || strings.HasPrefix(p, "/local/domain/5/device/") ||
			strings.HasPrefix(p, "/local/domain/0/backend/") {
			left = append(left, p)
		}
	}
	return left
}

// fakeBackend stands for the kernel's drivers of all devices: it goes to
// InitWait when a device appears and to Closed when asked to.
type fakeBackend struct {
	deaf    bool // never answers
	sticky  bool // goes to InitWait, but never closes
	refuses bool // closes at once, as after a fatal error
	removes bool // erases closed devices, as another domain's toolstack does
}

func (b *fakeBackend) run(t *testing.T, c *xenstore.Client) (stop func()) {
	w, err := c.Watch(t.Context(), "/local/domain")
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithoutCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for e := range w.Events() {
			if dir, ok := strings.CutSuffix(e.Path, "/state"); ok && strings.Contains(dir, "/backend/v") {
				b.react(ctx, c, dir)
			}
		}
	})
	return func() {
		w.Close()
		wg.Wait()
		c.Close()
	}
}

func (b *fakeBackend) react(ctx context.Context, c *xenstore.Client, dir string) {
	v, err := c.Read(ctx, dir+"/state")
	switch {
	case err != nil || b.deaf:
	case v == "1" && b.refuses:
		c.Write(ctx, "/local/domain/0/error"+strings.TrimPrefix(dir, "/local/domain/0")+"/error", "-22 reading physical-device")
		c.Write(ctx, dir+"/state", "6")
	case v == "1":
		c.Write(ctx, dir+"/state", "2")
	case v == "5" && !b.sticky:
		c.Write(ctx, dir+"/state", "6")
	case v == "6" && b.removes:
		c.Rm(ctx, dir)
	}
}
