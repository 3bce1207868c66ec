package xenctrl

import (
	"errors"
	"sync"

	"goxl/xenctrl/abi"
)

// Names of the values that almost every method takes, so that callers need not
// import abi for them.
type (
	DomID          = abi.DomID
	PFN            = abi.PFN
	GFN            = abi.GFN
	MFN            = abi.MFN
	Port           = abi.Port
	GrantRef       = abi.GrantRef
	KiB            = abi.KiB
	Pages          = abi.Pages
	UUID           = abi.UUID
	Version        = abi.Version
	CPUMap         = abi.Bitmap
	NodeMap        = abi.Bitmap
	CreateDomain   = abi.CreateDomain
	DomainInfo     = abi.DomainInfo
	VCPUInfo       = abi.VCPUInfo
	CPUPolicy      = abi.CPUPolicy
	CPUIDLeaf      = abi.CPUIDLeaf
	PolicyMSR      = abi.PolicyMSR
	PhysInfo       = abi.PhysInfo
	TSCInfo        = abi.TSCInfo
	SchedParams    = abi.SchedParams
	E820Entry      = abi.E820Entry
	ShutdownReason = abi.ShutdownReason
)

// Handle talks to the hypervisor. All methods may be called from several
// goroutines at once. A hypercall cannot be interrupted; operations that loop
// take a context.
type Handle struct {
	sys     System
	version abi.Version
	pool    pool
	counts  *counters

	mu       sync.Mutex // of what was asked once and does not change
	answers  map[Feature]bool
	maxCPUs  int
	maxNodes int
	closed   bool
}

// Open opens the hypervisor that this host runs on. It needs root in the
// control domain; elsewhere the error matches ErrNotXen, or ErrPermission.
func Open() (*Handle, error) {
	sys, err := OpenSystem()
	if err != nil {
		return nil, err
	}
	h, err := New(sys)
	if err != nil {
		return nil, errors.Join(err, sys.Close())
	}
	return h, nil
}

// New returns a Handle on sys, after asking it for its release and confirming
// the numbers of its interface. The Handle owns sys from then on; when New
// fails, sys is the caller's to close.
func New(sys System) (*Handle, error) {
	h := &Handle{sys: sys, pool: pool{sys: sys}, counts: newCounters(), answers: map[Feature]bool{}}
	v, err := h.probe()
	if err != nil {
		return nil, errors.Join(err, h.pool.close())
	}
	h.version = v
	return h, nil
}

// Version returns the running release and the numbers its interface carries.
func (h *Handle) Version() Version { return h.version }

// Close releases the handle. Mappings stay valid until they are closed
// themselves. It may be called twice.
func (h *Handle) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	h.closed = true
	return errors.Join(h.pool.close(), h.sys.Close())
}
