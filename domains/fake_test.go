package domains

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest"

	"goxl/domains/config"
	"goxl/domains/host"
	"goxl/domains/host/hosttest"
	"goxl/domains/logs"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
	"goxl/xenstore"
	"goxl/xenstore/server"
)

// world is a host in memory: a fake Xen, an in-process xenstored with a console
// daemon and a backend domain, and toolstack files in a temporary directory.
type world struct {
	*testing.T
	xen   *xentest.Machine
	srv   *server.Server
	m     *Manager
	dir   string
	host  *host.Host
	kern  *hosttest.Kernel
	trip  *tripwire // sees every request of a manager
	log   *logs.Logger
	nodes []string // in xenstore before anything was made
	free  abi.KiB
	ports int // of domain 0
}

// backendDom is a domain that serves disks and interfaces of the tests' guests.
const backendDom = 5

// sleepyDom is a backend domain whose drivers do nothing by themselves. A test that
// needs it adds it.
const sleepyDom = 30000

func newWorld(t *testing.T, cfg xentest.Config) *world {
	t.Helper()
	w := &world{T: t, xen: xentest.New(t, cfg), srv: server.New(server.Options{}), dir: t.TempDir()}
	w.xen.AddDomain(backendDom)
	dial := func() *xenstore.Client {
		c, err := xenstore.Dial(t.Context(), xenstore.WithConn(w.srv.Pipe(0)))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	drivers := dial()
	w.openHost()
	for _, node := range [][2]string{{"/local/domain/0/name", "Domain-0"}, {"/local/domain/5/name", "backend"}, {"/local/pool/0/name", "Pool-0"},
		{"/local/domain/0/device-model", ""}, {"/local/domain/0/backend/x", ""}, {"/libxl/0/x", ""}, {"/vm/x", ""}, {"/tool/xenstored", ""}} {
		if err := drivers.Write(t.Context(), node[0], node[1]); err != nil {
			t.Fatal(err)
		}
	}
	if testing.Verbose() {
		w.log = logs.New(zaptest.NewLogger(t, zaptest.Level(zapcore.WarnLevel)).Core())
	}
	var exit func()
	w.m, exit = w.process()
	w.drive(drivers)
	t.Cleanup(func() {
		exit()
		drivers.Close()
		w.srv.Close()
	})
	w.nodes, w.free, w.ports = w.srv.Paths(), w.xen.FreeMemory(), w.dom0Ports()
	return w
}

// openHost makes the files that a host has, with Xen's usual hotplug scripts.
func (w *world) openHost() {
	in := func(name string) string { return filepath.Join(w.dir, name) }
	w.host = host.New(host.Paths{Run: w.dir, Lib: w.dir, Log: in("log"), Scripts: w.dir, Hotplug: in("hotplug"), XLLock: in("xl"),
		Proc: "/proc", Sys: in("sys"), Dev: "/dev"})
	w.kern = hosttest.New(w.host.Kernel)
	w.host.Kernel = w.kern
	w.host.Trust(in("block"), host.Behaviour{Block: true})
	w.host.Trust(in("vif-bridge"), host.Behaviour{Bridge: true, FrontendMTU: true})
	for _, dir := range []string{"log", "hotplug", "sys/class/net/xenbr0"} {
		if err := os.MkdirAll(in(dir), 0o755); err != nil {
			w.Fatal(err)
		}
	}
	w.trip = &tripwire{}
	w.kern.Before = w.trip.system
	w.xen.Before(w.trip.hypercall)
}

// process opens a manager as a process has one. Exit ends that, in whatever it is.
func (w *world) process() (m *Manager, exit func()) {
	w.Helper()
	store, err := xenstore.Dial(w.Context(), xenstore.WithConn(w.srv.PipeBefore(0, w.trip.request)))
	if err != nil {
		w.Fatal(err)
	}
	m, err = Open(w.Context(), Options{Logger: w.log, Xen: w.xen.Handle(), Store: store, Host: w.host,
		Paths: Paths{Own: filepath.Join(w.dir, "own"), KernelCache: "off", LibExec: w.dir}})
	if err != nil {
		w.Fatal(err)
	}
	m.devices.Timeouts.Attach, m.devices.Timeouts.Detach = time.Second, time.Second
	return m, func() {
		m.Close()
		store.Close()
	}
}

func (w *world) dom0Ports() int {
	d, _ := w.xen.Domain(0)
	return d.Ports
}

// drive plays the console daemon and the backend drivers: consoles get a
// terminal, and devices that appear become ready, those that are closed closed.
func (w *world) drive(c *xenstore.Client) {
	watch, err := c.Watch(w.Context(), "/local/domain")
	if err != nil {
		w.Fatal(err)
	}
	go func() {
		ctx := w.Context()
		for e := range watch.Events() {
			v, err := c.Read(ctx, e.Path)
			vif, _ := strings.CutPrefix(strings.TrimSuffix(e.Path, "/state"), "/local/domain/0/backend/vif/")
			vif = "vif" + strings.Replace(vif, "/", ".", 1)
			ours := strings.HasPrefix(e.Path, "/local/domain/0/backend/vif/")
			switch {
			case err != nil:
				w.dropLinks(ctx, c)
			case strings.HasPrefix(e.Path, domainPath(sleepyDom)+"/"):
			case strings.HasSuffix(e.Path, "/console/tty") && v == "":
				c.Write(ctx, e.Path, "/dev/pts/9")
			case strings.Contains(e.Path, "/backend/") && strings.HasSuffix(e.Path, "/state") && v == "1":
				if ours {
					w.kern.AddLink(vif)
				}
				c.Update(ctx, func(tx *xenstore.Tx) error { // it may be asked to close meanwhile
					if v, err := tx.Read(ctx, e.Path); err != nil || v != "1" {
						return err
					}
					return tx.Write(ctx, e.Path, "2")
				})
			case strings.Contains(e.Path, "/backend/") && strings.HasSuffix(e.Path, "/state") && v == "5":
				if ours {
					w.kern.RemoveLink(vif)
				}
				c.Write(ctx, e.Path, "6")
				if !strings.HasPrefix(e.Path, "/local/domain/0/") {
					c.Rm(ctx, strings.TrimSuffix(e.Path, "/state")) // the backend domain's own toolstack does
				}
			}
		}
	}()
	w.Cleanup(func() { watch.Close() })
}

// dropLinks removes the interfaces whose devices are gone from xenstore, as netback
// does.
func (w *world) dropLinks(ctx context.Context, c *xenstore.Client) {
	for _, name := range w.kern.LinkNames() {
		if id, ok := strings.CutPrefix(name, "vif"); ok {
			there, err := c.Exists(ctx, "/local/domain/0/backend/vif/"+strings.Replace(id, ".", "/", 1))
			if err == nil && !there {
				w.kern.RemoveLink(name)
			}
		}
	}
}

// fullSpec is spec's guest with, besides, a disk in a file, an interface on a
// bridge of ours and, if wanted, a disk that its QEMU serves.
func (w *world) fullSpec(t config.DomainType, qemu bool) *config.Spec {
	w.Helper()
	s := w.spec(t)
	s.Disks = append(s.Disks, config.Disk{Path: config.Some(w.image("disk.img")), VDev: config.Some("xvdb"), Format: config.FormatRaw, ReadWrite: 1})
	s.NICs = append(s.NICs, config.NIC{Bridge: config.Some("xenbr0")})
	if qemu {
		w.useQEMU(s)
	}
	return s
}

// image makes a disk image.
func (w *world) image(name string) string {
	w.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, make([]byte, 4096), 0o600); err != nil {
		w.Fatal(err)
	}
	return path
}

// spec is a guest with a disk and an interface, both served by backendDom.
func (w *world) spec(t config.DomainType) *config.Spec {
	w.Helper()
	kernel := filepath.Join(w.dir, "kernel")
	if err := os.WriteFile(kernel, xentest.Kernel(), 0o644); err != nil {
		w.Fatal(err)
	}
	s := config.NewSpec(t)
	s.CInfo.Name = config.Some("guest")
	s.BInfo.Kernel, s.BInfo.Cmdline = config.Some(kernel), config.Some("console=hvc0")
	s.BInfo.MaxMem = config.Some(abi.KiB(16 << 10))
	s.BInfo.TargetMem = s.BInfo.MaxMem
	s.BInfo.MaxVCPUs, s.BInfo.AvailVCPUs = 1, config.BitmapOf(0)
	s.Disks = []config.Disk{{Backend: config.Backend{DomID: backendDom}, Path: config.Some("/dev/x"), VDev: config.Some("xvda"),
		Format: config.FormatRaw, ReadWrite: 1}}
	s.NICs = []config.NIC{{Backend: config.Backend{DomID: backendDom}}}
	return s
}

// nothingLeft fails the test unless the host is as it was in the beginning.
func (w *world) nothingLeft() {
	w.Helper()
	if ids := w.xen.IDs(); !slices.Equal(ids, []abi.DomID{backendDom}) {
		w.Errorf("domains %v are left", ids)
	}
	if free := w.xen.FreeMemory(); free != w.free {
		w.Errorf("%d KiB free, %d before", free, w.free)
	}
	if diff := gocmp.Diff(w.nodes, w.srv.Paths()); diff != "" {
		w.Errorf("xenstore (-before +after):\n%s", diff)
	}
	for id := range abi.DomFirstReserved {
		if n := w.xen.Mappings(id); n > 0 {
			w.Errorf("%d mappings of domain %d are left", n, id)
		}
	}
	if n := w.dom0Ports(); n != w.ports {
		w.Errorf("domain 0 has %d ports, %d before", n, w.ports)
	}
	w.nothingLeftOnHost()
}

// nothingLeftOnHost looks at what the kernel of domain 0 holds.
func (w *world) nothingLeftOnHost() {
	w.Helper()
	if loops := w.kern.Loops(); len(loops) > 0 {
		w.Errorf("loop devices %v are left", loops)
	}
	if links := w.kern.LinkNames(); !slices.Equal(links, []string{"xenbr0"}) {
		w.Errorf("interfaces are %v", links)
	}
	mine := []string{"kernel", "domid-history", "xl", "disk.img", "spare.img", "disk.qcow2", "xenstore", "supervisor.lock"}
	err := filepath.WalkDir(w.dir, func(path string, f fs.DirEntry, err error) error {
		if err == nil && !f.IsDir() && filepath.Dir(path) != filepath.Join(w.dir, "log") && !slices.Contains(mine, f.Name()) {
			w.Errorf("file %s is left", strings.TrimPrefix(path, w.dir))
		}
		return err
	})
	if err != nil {
		w.Error(err)
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		left := w.models()
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			w.Errorf("processes %v are left", left)
			return
		}
	}
}
