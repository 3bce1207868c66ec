package migrate

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/domains/host"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
	"goxl/xenstore"
	"goxl/xenstore/server"
)

// world is a host in memory: a fake Xen, an in-process xenstored with a console
// daemon, and guests that suspend when they are asked to.
type world struct {
	testing.TB
	xen   *xentest.Machine
	srv   *server.Server
	m     *domains.Manager
	store *xenstore.Client
	dir   string
	free  abi.KiB
	disks []config.Disk // of the guest that is booted
	// before, if set, is the last thing a guest does before it suspends.
	before atomic.Pointer[func()]
	// asked, if set, is what a guest does that is asked to suspend.
	asked atomic.Pointer[func(id abi.DomID)]
	// unserved is set while no console daemon runs.
	unserved atomic.Bool
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{TB: t, xen: xentest.New(t, xentest.Config{}), srv: server.New(server.Options{}), dir: t.TempDir()}
	dial := func() *xenstore.Client {
		c, err := xenstore.Dial(t.Context(), xenstore.WithConn(w.srv.Pipe(0)))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	drivers := dial()
	w.store = dial()
	for _, node := range [][2]string{{"/local/domain/0/name", "Domain-0"}, {"/local/pool/0/name", "Pool-0"}} {
		if err := w.store.Write(t.Context(), node[0], node[1]); err != nil {
			t.Fatal(err)
		}
	}
	h := host.New(host.Paths{Run: w.dir, Lib: w.dir, Log: w.dir, Scripts: w.dir, Hotplug: w.dir, XLLock: filepath.Join(w.dir, "xl"),
		Proc: "/proc", Sys: "/sys", Dev: "/dev",
		Blkback: filepath.Join(shortDir(t), "lock")})
	var err error
	w.m, err = domains.Open(t.Context(), domains.Options{Xen: w.xen.Handle(), Store: w.store, Host: h,
		Paths: domains.Paths{Own: filepath.Join(w.dir, "own"), KernelCache: "off", LibExec: w.dir}})
	if err != nil {
		t.Fatal(err)
	}
	w.drive(drivers)
	t.Cleanup(func() {
		w.m.Close()
		w.store.Close()
		drivers.Close()
		w.srv.Close()
	})
	w.free = w.xen.FreeMemory()
	return w
}

// shortDir is a folder whose path leaves room for a socket.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "migrate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// drive plays the console daemon and the guests.
func (w *world) drive(c *xenstore.Client) {
	watch, err := c.Watch(w.Context(), "/local/domain")
	if err != nil {
		w.Fatal(err)
	}
	ctx := w.Context()
	go func() {
		for e := range watch.Events() {
			v, err := c.Read(ctx, e.Path)
			switch {
			case err != nil:
			case strings.HasSuffix(e.Path, "/console/tty") && v == "" && !w.unserved.Load():
				c.Write(ctx, e.Path, "/dev/pts/9")
			case strings.HasSuffix(e.Path, "/control/shutdown") && v == "suspend":
				id, _ := strconv.Atoi(strings.Split(e.Path, "/")[3])
				if f := w.asked.Load(); f != nil {
					(*f)(abi.DomID(id))
					continue
				}
				c.Write(ctx, e.Path, "")
				if f := w.before.Load(); f != nil {
					(*f)()
				}
				w.stop(abi.DomID(id), abi.ShutdownSuspend)
			}
		}
	}()
	w.Cleanup(func() { watch.Close() })
}

// stop has a guest end for a reason.
func (w *world) stop(id abi.DomID, reason abi.ShutdownReason) {
	w.xen.Shutdown(id, reason)
	w.srv.Shutdown(id)
}

// acknowledge is what a guest does before it suspends.
func (w *world) acknowledge(id abi.DomID) {
	w.store.Write(w.Context(), "/local/domain/"+strconv.Itoa(int(id))+"/control/shutdown", "")
}

var kinds = []config.DomainType{config.TypePV, config.TypePVH}

// spec is a guest of 8 MiB with two vcpus, without devices.
func (w *world) spec(t config.DomainType) *config.Spec {
	w.Helper()
	kernel := filepath.Join(w.dir, "kernel")
	if err := os.WriteFile(kernel, xentest.Kernel(), 0o644); err != nil {
		w.Fatal(err)
	}
	s := config.NewSpec(t)
	s.CInfo.Name = config.Some("guest")
	s.BInfo.Kernel = config.Some(kernel)
	s.BInfo.MaxMem = config.Some(abi.KiB(8 << 10))
	s.BInfo.TargetMem = s.BInfo.MaxMem
	s.Disks = w.disks
	s.BInfo.MaxVCPUs, s.BInfo.AvailVCPUs = 2, config.BitmapOf(0, 1)
	return s
}

// boot makes a guest that runs, with something in each page.
func (w *world) boot(t config.DomainType, o bootOptions) abi.DomID {
	w.Helper()
	id, err := w.m.Create(w.Context(), w.spec(t), domains.CreateOptions{})
	if err != nil {
		w.Fatal(err)
	}
	if t == config.TypePV {
		w.bootPV(id, o)
	} else {
		w.bootPVH(id)
	}
	return id
}

// must fails the test on an error.
func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// xenc is the machine's handle.
func (w *world) xenc() *xenctrl.Handle { return w.xen.Handle() }

// runs fails the test unless the guest runs as if nothing had happened to it.
func (w *world) runs(id abi.DomID) {
	w.Helper()
	d, ok := w.xen.Domain(id)
	if !ok || d.Shutdown || d.Paused || d.LogDirty || w.xen.Mappings(id) > 0 {
		w.Errorf("guest %d (there: %t): suspended %t, paused %t, log-dirty %t, %d mappings", id, ok, d.Shutdown, d.Paused, d.LogDirty, w.xen.Mappings(id))
	}
	w.named(id, "guest")
}

// named fails the test unless the guest has that name.
func (w *world) named(id abi.DomID, want string) {
	w.Helper()
	if got, err := w.m.Name(w.Context(), id); got != want || err != nil {
		w.Errorf("guest %d is called %q (%v), want %q", id, got, err, want)
	}
}

// nothing fails the test unless the host is as it was without guests.
func (w *world) nothing() {
	w.Helper()
	if ids := w.xen.IDs(); len(ids) > 0 {
		w.Errorf("domains %v are left", ids)
	}
	if free := w.xen.FreeMemory(); free != w.free {
		w.Errorf("%d KiB free, %d before", free, w.free)
	}
	for _, p := range w.srv.Paths() {
		if strings.HasPrefix(p, "/local/domain/") && !strings.HasPrefix(p, "/local/domain/0") || strings.HasPrefix(p, "/vm/") {
			w.Errorf("%s is left", p)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(w.dir, "userdata*")); len(files) > 0 {
		w.Errorf("files are left: %v", files)
	}
}

// running lists the guests that run, neither suspended nor paused.
func (w *world) running() (ids []abi.DomID) {
	for _, id := range w.xen.IDs() {
		if d, ok := w.xen.Domain(id); ok && !d.Shutdown && !d.Paused && !d.Dying {
			ids = append(ids, id)
		}
	}
	return slices.Clip(ids)
}
