package domains

import (
	"time"

	"goxl/xenctrl/abi"
)

// Type is the kind of a guest. The hypervisor knows only PV and "hardware
// assisted"; PVH and HVM differ by what the toolstack noted.
type Type uint8

// The types. The zero value is none of them.
const (
	PV Type = iota + 1
	PVH
	HVM
)

// String returns the type as xenstore and the configuration spell it.
func (t Type) String() string {
	switch t {
	case PV:
		return "pv"
	case PVH:
		return "pvh"
	case HVM:
		return "hvm"
	}
	return "invalid"
}

// ParseType is the opposite of String.
func ParseType(s string) (Type, bool) {
	for _, t := range []Type{PV, PVH, HVM} {
		if s == t.String() {
			return t, true
		}
	}
	return 0, false
}

// Reason is why a domain shut down: XEN's SHUTDOWN_* numbers. Others than the
// named ones are possible, since a guest chooses the number.
type Reason uint8

// The reasons.
const (
	Poweroff  Reason = 0 // SHUTDOWN_poweroff
	Reboot    Reason = 1 // SHUTDOWN_reboot
	Suspend   Reason = 2 // SHUTDOWN_suspend
	Crash     Reason = 3 // SHUTDOWN_crash
	Watchdog  Reason = 4 // SHUTDOWN_watchdog
	SoftReset Reason = 5 // SHUTDOWN_soft_reset
)

// Domain describes a domain at the moment at which it was asked for. By the
// time it is read the domain may be gone and its name belong to another one.
type Domain struct {
	ID   abi.DomID
	UUID abi.UUID
	// Name is from xenstore; a domain that is half built or half destroyed has
	// none, then Named is false.
	Name  string
	Named bool

	Running, Blocked, Paused, Dying bool
	// Shutdown says that the guest has ended and still holds its memory; Reason
	// tells why and means nothing else.
	Shutdown bool
	Reason   Reason
	// Protected: xenstore's own domain, which "all" never means.
	Protected bool

	Current     abi.KiB // memory that the domain has
	Outstanding abi.KiB // memory that is claimed for it
	Shared      abi.KiB
	Paged       abi.KiB
	Max         abi.KiB // the most it may have, in Xen's accounting

	CPUTime     time.Duration // of all its vcpus together
	VCPUsOnline int
	MaxVCPU     int // the highest vcpu number; -1 when it has none
	Pool        uint32
	SSID        uint32
	// Hardware says that the guest runs in a hardware container: PVH or HVM.
	Hardware bool
}

// VCPU is one virtual CPU of a domain.
type VCPU struct {
	Number  int
	CPU     int // where it runs or ran last
	Online  bool
	Blocked bool
	Running bool
	Time    time.Duration
	Hard    abi.Bitmap // where it may run
	Soft    abi.Bitmap // where it prefers to run
}

// Console says where a guest's primary console is: the arguments of xenconsole.
type Console struct {
	Dom  abi.DomID
	Num  int
	Type string // "pv" or "serial"
	// TTY is the pseudo terminal; "" when none is there yet.
	TTY string
}

// VNC says where a guest's screen is shown.
type VNC struct {
	Listen   string // "localhost" when nothing is noted
	Port     int    // TCP
	Password string
}

// domainOf translates what Xen says.
func domainOf(i *abi.DomainInfo) Domain {
	d := Domain{
		ID: i.ID, UUID: i.Handle, Running: i.Running(), Blocked: i.Blocked(), Paused: i.Paused(), Dying: i.Dying(),
		Shutdown: i.Shutdown(), Protected: i.Xenstore(), Current: i.Pages.KiB(), Outstanding: i.Outstanding.KiB(),
		Shared: i.Shared.KiB(), Paged: i.Paged.KiB(), Max: i.MaxPages.KiB(), CPUTime: i.CPUTime,
		VCPUsOnline: int(i.OnlineVCPUs), MaxVCPU: int(int32(i.MaxVCPUID)), Pool: i.CPUPool, SSID: i.SSIDRef, Hardware: i.HVM(),
	}
	if d.Shutdown {
		d.Reason = Reason(i.ShutdownReason())
	}
	return d
}
