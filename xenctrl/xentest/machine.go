package xentest

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"

	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// Config says what the machine is. The zero value is Xen 4.17 with four CPUs,
// one NUMA node and 4 GiB of memory, of which only what guests touch is real.
type Config struct {
	Version abi.Version
	CPUs    int
	Memory  abi.KiB

	CommandLine string // of Xen itself

	NoResources bool // a kernel that cannot map resources
	NoHypfs     bool // a Xen without hypfs
	FLASK       bool // a policy that forbids domctls and sysctls
}

// Machine is an in-memory Xen. It decodes hypercalls from the bytes it gets,
// keeps domains with their memory, and refuses what Xen refuses.
type Machine struct {
	t   testing.TB
	cfg Config
	h   *xenctrl.Handle

	mu       sync.Mutex
	ram      *ram
	buffers  map[uint64][]byte // what Alloc gave out, by address
	nextAddr uint64
	mappings map[*byte]*mapping
	domains  map[abi.DomID]*domain
	nextID   abi.DomID
	pools    map[uint32]*cpuPool
	console  []byte
	keys     string
	faults   faults
}

// NewMachine returns a machine with Xen 4.17 and the given domains, which are
// PV, paused, have one vcpu and may own 1 MiB, on top of domain 0.
func NewMachine(t testing.TB, doms ...abi.DomID) *Machine {
	t.Helper()
	m := New(t, Config{})
	for _, id := range doms {
		m.AddDomain(id)
	}
	return m
}

// New returns a machine. When the test ends, it is closed, and mappings or
// buffers that are still in use fail the test.
func New(t testing.TB, cfg Config) *Machine {
	t.Helper()
	if cfg.Version == (abi.Version{}) {
		cfg.Version, _ = abi.Release(4, 17)
	}
	if cfg.CPUs == 0 {
		cfg.CPUs = 4
	}
	if cfg.Memory == 0 {
		cfg.Memory = 4 << 20
	}
	if cfg.CommandLine == "" {
		cfg.CommandLine = "placeholder dom0_mem=1024M"
	}
	r, err := newRAM(cfg.Memory.Pages())
	if err != nil {
		t.Fatalf("xentest: %v", err)
	}
	m := &Machine{
		t: t, cfg: cfg, ram: r, nextAddr: 0x7f0000000000, nextID: 1,
		buffers: map[uint64][]byte{}, mappings: map[*byte]*mapping{},
		domains: map[abi.DomID]*domain{}, pools: map[uint32]*cpuPool{},
		console: []byte("(XEN) Xen version " + cfg.Version.String() + " (in memory)\n"),
	}
	m.pools[0] = &cpuPool{sched: abi.SchedCredit2, cpus: abi.FullBitmap(cfg.CPUs)}
	m.addDom0()
	t.Cleanup(m.close)
	return m
}

// Handle returns the handle on this machine, the same one each time. The
// machine closes it.
func (m *Machine) Handle() *xenctrl.Handle {
	m.t.Helper()
	if m.h == nil {
		h, err := xenctrl.New(m.System())
		if err != nil {
			m.t.Fatalf("xentest: %v", err)
		}
		m.h = h
	}
	return m.h
}

// System returns the machine as the ground of a handle of the test's own.
func (m *Machine) System() xenctrl.System { return (*system)(m) }

// Version returns the release that the machine plays.
func (m *Machine) Version() abi.Version { return m.cfg.Version }

// close ends the machine and complains about what was not given back.
func (m *Machine) close() {
	if m.h != nil {
		if err := m.h.Close(); err != nil {
			m.t.Errorf("xentest: close: %v", err)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, mp := range m.mappings {
		m.t.Errorf("xentest: leaked a mapping of %d pages of domain %d", len(mp.frames), mp.dom)
	}
	if m.h != nil && len(m.buffers) > 0 {
		m.t.Errorf("xentest: leaked %d hypercall buffers", len(m.buffers))
	}
	for _, mp := range m.mappings {
		_ = unmapView(mp.view)
	}
	m.ram.close()
}

// at returns n bytes that a hypercall argument points to.
func (m *Machine) at(addr uint64, n int) ([]byte, error) {
	for base, b := range m.buffers {
		if addr >= base && addr-base <= uint64(len(b)) && uint64(n) <= uint64(len(b))-(addr-base) {
			return b[addr-base:][:n:n], nil
		}
	}
	return nil, syscall.EFAULT
}

// domain finds a domain, also one that is dying.
func (m *Machine) domain(id abi.DomID) (*domain, error) {
	d := m.domains[id]
	if id == abi.DomSelf {
		d = m.domains[0]
	}
	if d == nil {
		return nil, syscall.ESRCH
	}
	return d, nil
}

// errno makes an error of the fake's own code an errno that Xen could give.
func errno(err error) error {
	var no syscall.Errno
	if err == nil || errors.As(err, &no) {
		return err
	}
	return fmt.Errorf("xentest: %w: %w", err, syscall.EINVAL)
}
