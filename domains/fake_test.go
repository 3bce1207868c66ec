package domains

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"goxl/domains/config"
	"goxl/domains/host"
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
	nodes []string // in xenstore before anything was made
	free  abi.KiB
}

// backendDom is a domain that serves disks and interfaces of the tests' guests.
const backendDom = 5

// sleepyDom is a backend domain whose drivers do nothing by themselves. A test that
// needs it adds it.
const sleepyDom = 6

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
	store, drivers := dial(), dial()
	h := host.New(host.Paths{Run: w.dir, Lib: w.dir, Log: w.dir, Scripts: w.dir, Hotplug: w.dir, XLLock: filepath.Join(w.dir, "xl"),
		Proc: "/proc", Sys: "/sys", Dev: "/dev"})
	for _, node := range [][2]string{{"/local/domain/0/name", "Domain-0"}, {"/local/domain/5/name", "backend"}, {"/local/pool/0/name", "Pool-0"},
		{"/libxl/0/x", ""}, {"/vm/x", ""}, {"/tool/xenstored", ""}} {
		if err := store.Write(t.Context(), node[0], node[1]); err != nil {
			t.Fatal(err)
		}
	}
	logger := zap.NewNop()
	if testing.Verbose() {
		logger = zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel))
	}
	var err error
	w.m, err = Open(t.Context(), Options{Logger: logger, Xen: w.xen.Handle(), Store: store, Host: h,
		Paths: Paths{Own: filepath.Join(w.dir, "own"), KernelCache: "off", LibExec: w.dir}})
	if err != nil {
		t.Fatal(err)
	}
	w.drive(drivers)
	t.Cleanup(func() {
		w.m.Close()
		store.Close()
		drivers.Close()
		w.srv.Close()
	})
	w.nodes, w.free = w.srv.Paths(), w.xen.FreeMemory()
	return w
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
			switch {
			case err != nil || strings.HasPrefix(e.Path, domainPath(sleepyDom)+"/"):
			case strings.HasSuffix(e.Path, "/console/tty") && v == "":
				c.Write(ctx, e.Path, "/dev/pts/9")
			case strings.Contains(e.Path, "/backend/") && strings.HasSuffix(e.Path, "/state") && v == "1":
				c.Write(ctx, e.Path, "2")
			case strings.Contains(e.Path, "/backend/") && strings.HasSuffix(e.Path, "/state") && v == "5":
				c.Write(ctx, e.Path, "6")
				c.Rm(ctx, strings.TrimSuffix(e.Path, "/state")) // the backend domain's own toolstack does
			}
		}
	}()
	w.Cleanup(func() { watch.Close() })
}

// spec is a guest with a disk and an interface, both served by backendDom.
func (w *world) spec(t config.DomainType) *config.Spec {
	w.Helper()
	kernel := filepath.Join(w.dir, "kernel")
	if err := os.WriteFile(kernel, testKernel(), 0o644); err != nil {
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
	files, err := os.ReadDir(w.dir)
	if err != nil {
		w.Fatal(err)
	}
	for _, f := range files {
		if !slices.Contains([]string{"kernel", "domid-history", "own", "xl"}, f.Name()) {
			w.Errorf("file %s is left", f.Name())
		}
	}
}

// testKernel is a kernel that any builder takes and that does nothing: an ELF
// file with one loadable segment and Xen's notes for PV and PVH.
func testKernel() []byte {
	const vaddr, paddr, size = 0xffffffff80100000, 0x100000, 0x2000
	var notes bytes.Buffer
	note := func(typ uint32, desc []byte) {
		for _, v := range []uint32{4, uint32(len(desc)), typ} {
			binary.Write(&notes, binary.LittleEndian, v)
		}
		notes.WriteString("Xen\x00")
		notes.Write(append(desc, make([]byte, -len(desc)&3)...))
	}
	num := func(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }
	note(1, num(vaddr))                                            // XEN_ELFNOTE_ENTRY
	note(2, num(vaddr+0x1000))                                     // XEN_ELFNOTE_HYPERCALL_PAGE
	note(3, num(0xffffffff80000000))                               // XEN_ELFNOTE_VIRT_BASE
	note(5, []byte("xen-3.0\x00"))                                 // XEN_ELFNOTE_XEN_VERSION
	note(6, []byte("test\x00"))                                    // XEN_ELFNOTE_GUEST_OS
	note(8, []byte("generic\x00"))                                 // XEN_ELFNOTE_LOADER
	note(9, []byte("yes\x00"))                                     // XEN_ELFNOTE_PAE_MODE
	note(18, binary.LittleEndian.AppendUint32(nil, uint32(paddr))) // XEN_ELFNOTE_PHYS32_ENTRY
	const head = 64 + 2*56
	var b bytes.Buffer
	b.WriteString("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	for _, v := range []any{uint16(2), uint16(62), uint32(1), uint64(vaddr), uint64(64), uint64(0), uint32(0),
		uint16(64), uint16(56), uint16(2), uint16(0), uint16(0), uint16(0),
		uint32(1), uint32(7), uint64(head), uint64(vaddr), uint64(paddr), uint64(notes.Len()), uint64(size), uint64(0x1000),
		uint32(4), uint32(4), uint64(head), uint64(vaddr), uint64(paddr), uint64(notes.Len()), uint64(notes.Len()), uint64(4)} {
		binary.Write(&b, binary.LittleEndian, v)
	}
	b.Write(notes.Bytes())
	return b.Bytes()
}
