package abi

import "time"

// Flags of DomainInfo. Source: domctl.h, XEN_DOMINF_*.
const (
	InfoDying     = 1 << 0
	InfoHVM       = 1 << 1
	InfoShutdown  = 1 << 2
	InfoPaused    = 1 << 3
	InfoBlocked   = 1 << 4
	InfoRunning   = 1 << 5
	InfoDebugged  = 1 << 6
	InfoXenstore  = 1 << 7
	InfoHAP       = 1 << 8
	InfoShutShift = 16 // the shutdown code is the byte from here
)

// ShutdownReason says why a domain stopped. Source: sched.h, SHUTDOWN_*.
type ShutdownReason uint8

// The reasons a domain can stop for.
const (
	ShutdownPoweroff  ShutdownReason = 0
	ShutdownReboot    ShutdownReason = 1
	ShutdownSuspend   ShutdownReason = 2
	ShutdownCrash     ShutdownReason = 3
	ShutdownWatchdog  ShutdownReason = 4
	ShutdownSoftReset ShutdownReason = 5
)

// String returns the reason in one word: "poweroff", "crash", …
func (r ShutdownReason) String() string {
	names := [...]string{"poweroff", "reboot", "suspend", "crash", "watchdog", "soft-reset"}
	if int(r) < len(names) {
		return names[r]
	}
	return "unknown"
}

// DomainInfo is what Xen tells about a domain at one moment.
type DomainInfo struct {
	ID              DomID
	Flags           uint32 // Info…; see the methods
	Pages           Pages  // owned now
	MaxPages        Pages  // may own
	Outstanding     Pages  // claimed, not yet allocated
	Shared          Pages
	Paged           Pages
	SharedInfoFrame GFN // to map shared_info by
	CPUTime         time.Duration
	OnlineVCPUs     uint32
	MaxVCPUID       uint32 // highest vcpu id; all ones (or 0) when there is none yet
	SSIDRef         uint32
	Handle          UUID
	CPUPool         uint32 // all ones: none, the domain is dying
	AddressBits     uint8  // width of guest physical addresses; since 4.16
	EmulationFlags  uint32
	MiscFlags       uint32 // since 4.15
}

// Dying reports that the domain was destroyed and waits for its last users.
func (d *DomainInfo) Dying() bool { return d.Flags&InfoDying != 0 }

// HVM reports a hardware container: HVM or PVH.
func (d *DomainInfo) HVM() bool { return d.Flags&InfoHVM != 0 }

// PVH reports a hardware container without the emulated devices of HVM.
func (d *DomainInfo) PVH() bool { return d.HVM() && d.EmulationFlags&^EmuVPCI == EmuPVH }

// Shutdown reports that the domain stopped itself; ShutdownReason says why.
func (d *DomainInfo) Shutdown() bool { return d.Flags&InfoShutdown != 0 }

// Paused reports that the toolstack paused the domain.
func (d *DomainInfo) Paused() bool { return d.Flags&InfoPaused != 0 }

// Blocked reports that every online vcpu waits for an event.
func (d *DomainInfo) Blocked() bool { return d.Flags&InfoBlocked != 0 }

// Running reports that a vcpu is on a CPU at this moment.
func (d *DomainInfo) Running() bool { return d.Flags&InfoRunning != 0 }

// Debugged reports that a debugger stopped the domain.
func (d *DomainInfo) Debugged() bool { return d.Flags&InfoDebugged != 0 }

// Xenstore reports the domain that was created to run xenstore.
func (d *DomainInfo) Xenstore() bool { return d.Flags&InfoXenstore != 0 }

// HAP reports hardware-assisted paging.
func (d *DomainInfo) HAP() bool { return d.Flags&InfoHAP != 0 }

// ShutdownReason says why the domain stopped; it means something only while
// Shutdown is true.
func (d *DomainInfo) ShutdownReason() ShutdownReason {
	return ShutdownReason(d.Flags >> InfoShutShift)
}

// DomainInfoSize returns sizeof(struct xen_domctl_getdomaininfo) in v, which is
// also the stride of getdomaininfolist.
func DomainInfoSize(v Version) int {
	if v.Domctl >= 0x14 {
		return 112
	}
	return 104
}

// ParseDomainInfo reads one struct xen_domctl_getdomaininfo, of which b must
// hold DomainInfoSize(v) bytes. Domctl 0x14 put gpaddr_bits before the arch
// tail; 0x13 gave the tail misc_flags.
func ParseDomainInfo(b []byte, v Version) DomainInfo {
	d := DomainInfo{
		ID:              DomID(get16(b, 0)),
		Flags:           get32(b, 4),
		Pages:           Pages(get64(b, 8)),
		MaxPages:        Pages(get64(b, 16)),
		Outstanding:     Pages(get64(b, 24)),
		Shared:          Pages(get64(b, 32)),
		Paged:           Pages(get64(b, 40)),
		SharedInfoFrame: GFN(get64(b, 48)),
		CPUTime:         time.Duration(get64(b, 56)),
		OnlineVCPUs:     get32(b, 64),
		MaxVCPUID:       get32(b, 68),
		SSIDRef:         get32(b, 72),
		Handle:          UUID(b[76:92]),
		CPUPool:         get32(b, 92),
	}
	switch {
	case v.Domctl >= 0x14:
		d.AddressBits, d.EmulationFlags, d.MiscFlags = b[96], get32(b, 104), get32(b, 108)
	case v.Domctl >= 0x13:
		d.EmulationFlags, d.MiscFlags = get32(b, 96), get32(b, 100)
	default:
		d.EmulationFlags = get32(b, 96)
	}
	return d
}

// AppendDomainInfoList appends the argument of getdomaininfolist: from which
// id on, into room for how many elements at addr.
func AppendDomainInfoList(b []byte, first DomID, max uint32, addr uint64) []byte {
	b = append16(b, uint16(first), 0)
	b = append32(b, max)
	b = append64(b, addr)
	return pad(b, 8)
}

// ParseDomainInfoList returns how many elements Xen filled.
func ParseDomainInfoList(b []byte) uint32 { return get32(b, 16) }

// Bits of DomainState. Source: domctl.h, XEN_DOMCTL_GETDOMSTATE_*.
const (
	StateExist    = 1
	StateShutdown = 2
	StateDying    = 4
	StateDead     = 8
	CapsControl   = 1
	CapsHardware  = 2
	CapsXenstore  = 4
)

// DomainState is the answer of get_domain_state (4.21): what a domain is in,
// and an id that no later domain gets.
type DomainState struct {
	ID       DomID
	State    uint16
	Caps     uint16
	UniqueID uint64
}

// ParseDomainState reads the payload of get_domain_state.
func ParseDomainState(b []byte) DomainState {
	return DomainState{State: get16(b, 0), Caps: get16(b, 2), UniqueID: get64(b, 8)}
}
