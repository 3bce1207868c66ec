package build

import (
	"io"
	"time"

	"goxl/domains/config"
	"goxl/domains/image"
	"goxl/domains/logs"
	"goxl/xenctrl/abi"
)

// Kind is how a guest is run.
type Kind int

// The kinds of guest.
const (
	PV  Kind = iota + 1 // paravirtual, 64 bits
	PVH                 // in a HVM container, without firmware or device model
)

// String returns the kind as a configuration names it.
func (k Kind) String() string {
	switch k {
	case PV:
		return "pv"
	case PVH:
		return "pvh"
	}
	return "unknown kind"
}

// Params is what a guest is built from. Kind, Image or Source, Target and VCPUs
// are needed, everything else has a usable zero value.
type Params struct {
	Kind    Kind
	Image   *image.Image // the kernel, or the PV shim
	CmdLine string       // of Image
	Modules []Module     // the ramdisk; with a shim: kernel, then ramdisk
	Source  Source       // instead of Image: the guest was saved

	Target abi.KiB // memory at start
	MaxMem abi.KiB // what it may grow to; 0: Target. PVH: the rest is populated on demand
	Slack  abi.KiB // PV: more room in the guest's memory map
	Paging abi.KiB // pool for the guest's own tables; PVH only, 0: policy.PagingMemory
	Claim  bool    // set the memory aside first, to fail early

	VCPUs        int
	Online       config.Bitmap   // vcpus that start; nil: all
	HardAffinity []config.Bitmap // CPUs per vcpu; missing ones are left alone
	SoftAffinity []config.Bitmap
	Nodes        config.Bitmap // NUMA nodes to take memory from; nil: see PlaceNUMA
	PlaceNUMA    bool          // choose nodes, and with them the soft affinity
	VNUMA        []config.VNode

	CPUPolicy config.CPUPolicy
	NoMigrate bool // show an invariant TSC
	NestedHVM bool
	PAE       bool // PVH: always; kept for HVM
	TSC       TSCMode
	TimerMode uint64 // HVM_PARAM_TIMER_MODE; 1 is libxl's default, no delay for missed ticks
	Altp2m    uint64 // HVM_PARAM_ALTP2M, up to 4.18; 0: off

	TimeOffset time.Duration // guest's clock minus UTC, whole seconds
	E820Host   bool          // PV: show the holes of the host's memory map

	Store   Ring // where xenstored runs
	Console Ring // where the console backend runs

	Log *logs.Logger // nil: silent
}

// Module is a file that is handed to the kernel, the first one being its ramdisk.
type Module struct {
	Data    io.ReaderAt
	Size    int64
	CmdLine string // PVH only, at most 1023 bytes
}

// Ring names the other side of one of the two rings that every guest has.
type Ring struct {
	Remote abi.DomID // the backend's domain
	Port   abi.Port  // the guest's port, if it was allocated already; 0: Run does
}

// TSCMode is how reads of the time stamp counter behave.
// Source: libxl_tsc_mode.
type TSCMode uint32

// The modes, numbered as Xen does.
const (
	TSCDefault TSCMode = 0 // emulated only when the frequency changed by a migration
	TSCEmulate TSCMode = 1
	TSCNative  TSCMode = 2
)

// Result is what the rest of the toolstack has to know of a guest that was built.
type Result struct {
	Store   BuiltRing
	Console BuiltRing
	Nodes   config.Bitmap // what PlaceNUMA chose; nil: nothing
	Paging  abi.KiB       // what the paging pool was set to; 0 for PV
}

// BuiltRing is a ring page and the guest's port for it.
type BuiltRing struct {
	Frame abi.GFN // the MFN for PV: as xenstore's store/ring-ref has it
	Port  abi.Port
}
