package supervise_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/domains/host"
	"goxl/domains/supervise"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
	"goxl/xenstore"
	"goxl/xenstore/server"
	"goxl/xenstore/wire"
)

// world is a host in memory with a supervisor.
type world struct {
	*testing.T
	xen  *xentest.Machine
	srv  *server.Server
	m    *domains.Manager
	dir  string
	ends chan error // what Run returned
	stop context.CancelFunc
	// refuse counts down to the request of xenstore that is refused; at 0 and below
	// all are granted.
	refuse atomic.Int32
}

func newWorld(t *testing.T, v abi.Version) *world {
	t.Helper()
	w := &world{T: t, xen: xentest.New(t, xentest.Config{Version: v}), srv: server.New(server.Options{}), dir: t.TempDir(), ends: make(chan error, 1)}
	dial := func(before func(wire.Op) syscall.Errno) *xenstore.Client {
		c, err := xenstore.Dial(t.Context(), xenstore.WithReconnect(nil),
			xenstore.WithDialer(func(context.Context) (net.Conn, error) { return w.srv.PipeBefore(0, before), nil }))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	store, console := dial(w.before), dial(nil)
	h := host.New(host.Paths{Run: w.dir, Lib: w.dir, Log: w.dir, Scripts: w.dir, Hotplug: w.dir, XLLock: filepath.Join(w.dir, "xl"), Proc: "/proc", Sys: "/sys", Dev: "/dev"})
	m, err := domains.Open(t.Context(), domains.Options{Xen: w.xen.Handle(), Store: store, Host: h, Paths: domains.Paths{Own: w.own(), KernelCache: "off"}})
	if err != nil {
		t.Fatal(err)
	}
	w.m = m
	watch, err := console.Watch(t.Context(), "/local/domain")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for e := range watch.Events() {
			w.serveConsoles(console, e.Path)
		}
	}()
	t.Cleanup(func() {
		if w.stop != nil {
			w.stop()
			w.ended()
		}
		watch.Close()
		m.Close()
		store.Close()
		console.Close()
		w.srv.Close()
	})
	return w
}

// before has its say about each request of the manager.
func (w *world) before(wire.Op) syscall.Errno {
	if w.refuse.Add(-1) == 0 {
		return syscall.EIO
	}
	return 0
}

// serveConsoles is the console daemon, told that path has changed. A new connection
// begins with news of the watched node itself: what happened before went unseen.
func (w *world) serveConsoles(c *xenstore.Client, path string) {
	untilKept := func(do func() error) {
		for errors.Is(do(), xenstore.ErrLost) {
		}
	}
	consoles := []string{path}
	if path == "/local/domain" {
		untilKept(func() error {
			ids, err := c.List(w.Context(), path)
			consoles = nil
			for _, id := range ids {
				consoles = append(consoles, path+"/"+id+"/console/tty")
			}
			return err
		})
	}
	for _, tty := range consoles {
		if !strings.HasSuffix(tty, "/console/tty") {
			continue
		}
		untilKept(func() error {
			v, err := c.Read(w.Context(), tty)
			if err == nil && v == "" {
				err = c.Write(w.Context(), tty, "/dev/pts/9")
			}
			return err
		})
	}
}

func (w *world) own() string { return filepath.Join(w.dir, "own") }

func (w *world) options() supervise.Options {
	return supervise.Options{Manager: w.m, Dir: w.own(), ParseUpdate: func(text []byte) (*config.Spec, error) {
		if string(text) != "more" {
			return nil, fmt.Errorf("syntax error")
		}
		s := w.spec()
		s.BInfo.MaxVCPUs = 2
		return s, nil
	}}
}

// start runs a supervisor.
func (w *world) start() {
	ctx, stop := context.WithCancel(w.Context())
	w.stop = stop
	go func() { w.ends <- supervise.Run(ctx, w.options()) }()
}

// ended waits for the supervisor's end and returns what it returned.
func (w *world) ended() error {
	w.Helper()
	select {
	case err := <-w.ends:
		w.stop = nil
		return err
	case <-time.After(20 * time.Second):
		w.Fatalf("the supervisor does not end; log:\n%s", w.log())
		return nil
	}
}

func (w *world) spec() *config.Spec {
	s := config.NewSpec(config.TypePVH)
	s.CInfo.Name = config.Some("guest")
	s.CInfo.UUID = abi.UUID{0x11, 15: 0x22}
	s.BInfo.Kernel = config.Some("../image/testdata/payload.elf.gz")
	s.BInfo.MaxMem = config.Some(abi.KiB(32 << 10))
	s.BInfo.TargetMem = s.BInfo.MaxMem
	s.BInfo.MaxVCPUs, s.BInfo.AvailVCPUs = 1, config.BitmapOf(0)
	s.OnReboot = config.ActionRestart
	return s
}

// create makes a guest and registers it.
func (w *world) create(s *config.Spec) abi.DomID {
	w.Helper()
	id, err := w.m.Create(w.Context(), s, domains.CreateOptions{})
	if err != nil {
		w.Fatal(err)
	}
	w.register(id)
	return id
}

func (w *world) register(id abi.DomID) {
	w.Helper()
	rec, err := supervise.NewRecord(w.Context(), w.m, id)
	if err == nil {
		err = supervise.Register(w.Context(), w.own(), rec, func() error { w.start(); return nil })
	}
	if err != nil {
		w.Fatal(err)
	}
}

// end makes the guest end for a reason.
func (w *world) end(id abi.DomID, why domains.Reason) {
	w.xen.Shutdown(id, abi.ShutdownReason(why))
	w.srv.Shutdown(id)
}

// await waits for a guest of that name in another domain than old.
func (w *world) await(name string, old abi.DomID) domains.Domain {
	w.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		list, err := w.m.List(w.Context())
		if errors.Is(err, xenstore.ErrLost) {
			continue // a test breaks connections
		}
		if err != nil {
			w.Fatal(err)
		}
		for _, d := range list {
			if d.Named && d.Name == name && d.ID != old && !d.Paused {
				return d
			}
		}
	}
	w.Fatalf("no new domain %s; log:\n%s", name, w.log())
	return domains.Domain{}
}

// awaitLog waits for a line of the guest's log.
func (w *world) awaitLog(line string) {
	w.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if strings.Contains(w.log(), line) {
			return
		}
	}
	w.Fatalf("no line %q in the log:\n%s", line, w.log())
}

func (w *world) log() string {
	b, _ := os.ReadFile(filepath.Join(w.dir, "xl-guest.log"))
	return string(b)
}

// vms lists the children of /vm.
func (w *world) vms() []string {
	var all []string
	for _, p := range w.srv.Paths() {
		if uuid, ok := strings.CutPrefix(p, "/vm/"); ok && !strings.Contains(uuid, "/") {
			all = append(all, uuid)
		}
	}
	return all
}

// records counts the guests on record.
func (w *world) records() int {
	files, _ := filepath.Glob(filepath.Join(w.own(), "guests", "*.json"))
	return len(files)
}
