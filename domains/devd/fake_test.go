//go:build linux

package devd_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"goxl/domains/devd"
	"goxl/domains/device"
	"goxl/domains/host"
	"goxl/domains/host/hosttest"
	"goxl/xenstore"
	"goxl/xenstore/server"
	"goxl/xenstore/wire"
)

// driver is the driver domain of these tests, whose guest is domain 5; self is its
// place in xenstore.
const (
	driver = 3
	self   = "/local/domain/3"
)

// world is a xenstore with a toolstack in domain 0, a guest, and a driver domain with
// the kernel's backends, whose loop devices and interfaces are in memory.
type world struct {
	*testing.T
	srv       *server.Server
	toolstack *device.Set
	dom0      *xenstore.Client
	kernel    *hosttest.Kernel
	host      *host.Host // the driver domain
	dir       string
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, srv: server.New(server.Options{}), dir: t.TempDir()}
	t.Cleanup(func() { w.srv.Close() })
	w.dom0 = w.dial(0)
	for _, dom := range []wire.Perm{{Access: wire.Read, Dom: driver}, {Access: wire.Read, Dom: 5}, {Access: wire.Read, Dom: 6}} {
		id := fmt.Sprint(dom.Dom)
		w.must(w.dom0.Write(t.Context(), "/libxl/"+id+"/type", "pvh"))
		for _, path := range []string{"/local/domain/" + id, "/local/domain/" + id + "/device", "/libxl/" + id + "/device"} {
			w.must(w.dom0.Mkdir(t.Context(), path))
			if strings.HasPrefix(path, "/local") {
				w.must(w.dom0.SetPerms(t.Context(), path, []wire.Perm{{Access: wire.None, Dom: 0}, dom}))
			}
		}
		w.must(w.dom0.Write(t.Context(), "/local/domain/"+id+"/domid", id))
		w.must(w.dom0.Write(t.Context(), "/local/domain/"+id+"/vm", "/vm/of-"+id))
	}
	timeouts := device.Timeouts{Attach: 10 * time.Second, Detach: 5 * time.Second, QEMU: 50 * time.Millisecond}
	w.toolstack = device.New(device.Options{Store: w.dom0, Host: host.New(host.DefaultPaths()), Layout: device.LayoutOf(17), Timeouts: timeouts})

	p := host.DefaultPaths()
	p.Scripts, p.Hotplug, p.Sys, p.Blkback = w.dir, w.dir, filepath.Join(w.dir, "sys"), filepath.Join(w.dir, "blkback-lock")
	w.must(os.MkdirAll(filepath.Join(p.Sys, "class/net/xenbr0"), 0o755))
	w.host = host.New(p)
	w.kernel = hosttest.New(w.host.Kernel)
	w.host.Kernel = w.kernel
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// dial connects as a domain, until the test ends.
func (w *world) dial(dom device.DomID) *xenstore.Client {
	c, err := xenstore.Dial(context.WithoutCancel(w.Context()), xenstore.WithConn(w.srv.Pipe(dom)))
	w.must(err)
	w.Cleanup(func() { c.Close() })
	return c
}

// trust has the driver domain do itself what libxl's scripts do.
func (w *world) trust() {
	w.host.Trust("/etc/xen/scripts/block", host.Behaviour{Block: true})
	w.host.Trust("/etc/xen/scripts/vif-bridge", host.Behaviour{Bridge: true, FrontendMTU: true})
}

// script makes a hotplug script and returns its path. It finds its folder in $DIR.
func (w *world) script(text string) string {
	path := filepath.Join(w.dir, "script")
	w.must(os.WriteFile(path, []byte("#!/bin/sh\nDIR="+w.dir+"\n"+text+"\n"), 0o755))
	return path
}

// notes is what scripts wrote to a file.
func (w *world) notes(name string) string {
	b, _ := os.ReadFile(filepath.Join(w.dir, name))
	return string(b)
}

// devd runs the daemon, until stop is called or the test ends.
func (w *world) devd() (stop func()) {
	w.Helper()
	return w.devdOn(w.dial(driver))
}

// devdOn is devd with a connection to xenstore.
func (w *world) devdOn(store *xenstore.Client) (stop func()) {
	w.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	set := device.New(device.Options{Store: store, Host: w.host, Self: driver, Timeouts: device.Timeouts{Script: 10 * time.Second}})
	done, ready := make(chan error, 1), make(chan struct{})
	go func() {
		done <- devd.Run(ctx, devd.Options{Store: store, Devices: set, Ready: func() { close(ready) }})
	}()
	select {
	case <-ready:
	case err := <-done:
		w.Fatal(err)
	}
	return w.once(func() {
		cancel()
		if err := <-done; err != nil {
			w.Error(err)
		}
	})
}

// once has f called once: by whom it is returned to, or at the test's end.
func (w *world) once(f func()) func() {
	g := sync.OnceFunc(f)
	w.Cleanup(g)
	return g
}

// backends runs what the kernel of the driver domain has for vifs and disks: from
// Initialising to InitWait, with an interface for a vif, to Connected once plugged, and
// from Closing to Closed, where a vif loses its interface.
func (w *world) backends() (stop func()) {
	c := w.dial(driver)
	watch, err := c.Watch(w.Context(), self+"/backend")
	w.must(err)
	ctx := context.WithoutCancel(w.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for e := range watch.Events() {
			if d, ok := device.ServedAt(e.Path); ok && d.BackendKind != device.QDisk {
				w.answer(ctx, c, d)
			}
		}
	})
	return w.once(func() { watch.Close(); wg.Wait() })
}

func (w *world) answer(ctx context.Context, c *xenstore.Client, d device.Device) {
	back := d.BackendPath()
	name := fmt.Sprintf("vif%d.%d", d.Dom, d.ID)
	c.Update(ctx, func(tx *xenstore.Tx) error {
		state, err := tx.Read(ctx, back+"/state")
		status, _ := tx.Read(ctx, back+"/hotplug-status")
		to := ""
		switch {
		case err != nil:
			return err
		case state == "1":
			to = "2"
		case state == "2" && status == "connected":
			to = "4"
		case state == "5":
			to = "6"
		default:
			return nil
		}
		if d.BackendKind == device.VIF && to == "2" {
			w.kernel.AddLink(name)
		} else if d.BackendKind == device.VIF && to == "6" {
			w.kernel.RemoveLink(name)
		}
		return tx.Write(ctx, back+"/state", to)
	})
}

// await waits for a node of the driver domain's backend to hold a value, "" for none.
func (w *world) await(path, want string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 10*time.Second)
	defer cancel()
	got, err := w.dom0.Await(ctx, path, func(v string, _ bool) bool { return v == want })
	if err != nil {
		w.Fatalf("%s is %q, want %q: %v", path, got, want, err)
	}
}

// left returns the nodes of devices that there are.
func (w *world) left() []string {
	return slices.DeleteFunc(w.srv.Paths(), func(p string) bool {
		return !strings.HasPrefix(p, self+"/backend") && !strings.Contains(p, "/device/")
	})
}

// bridge is the name of the bridge that an interface is a port of.
func (w *world) bridge(name string) string {
	l, err := w.kernel.FindLink(name)
	w.must(err)
	br, err := w.kernel.FindLink("xenbr0")
	w.must(err)
	if l.Bridge == br.Index {
		return "xenbr0"
	}
	return ""
}
