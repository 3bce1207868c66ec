package abi

// Arguments of event_channel_op, grant_table_op, hvm_op, mmuext_op, mmu_update,
// sched_op and physdev_op.

// MMUExtOp is one operation on page tables; Frame is the table.
type MMUExtOp struct {
	Cmd   uint32
	Frame MFN
	Arg2  uint64
}

// MMUExtSize is sizeof(struct mmuext_op).
const MMUExtSize = 24

// AppendMMUExt appends o.
func AppendMMUExt(b []byte, o MMUExtOp) []byte {
	return append64(append32(b, o.Cmd, 0), uint64(o.Frame), o.Arg2)
}

// MMUUpdateSize is sizeof(struct mmu_update).
const MMUUpdateSize = 16

// Types in the low bits of an MMU update's address. Source: xen.h, MMU_*.
const (
	MMUNormalUpdate   = 0
	MMUMachphysUpdate = 1
)

// AppendMMUUpdate appends one element of the array of mmu_update.
func AppendMMUUpdate(b []byte, ptr, val uint64) []byte { return append64(b, ptr, val) }

// AppendEvtchnAllocUnbound appends the argument of EVTCHNOP_alloc_unbound.
func AppendEvtchnAllocUnbound(b []byte, dom, remote DomID) []byte {
	return append32(append16(b, uint16(dom), uint16(remote)), 0)
}

// ParseEvtchnAllocUnbound returns the new port of the answer.
func ParseEvtchnAllocUnbound(b []byte) Port { return Port(get32(b, 4)) }

// AppendEvtchnPort appends the argument of EVTCHNOP_close and EVTCHNOP_send.
func AppendEvtchnPort(b []byte, p Port) []byte { return append32(b, uint32(p)) }

// AppendEvtchnReset appends the argument of EVTCHNOP_reset.
func AppendEvtchnReset(b []byte, dom DomID) []byte { return append16(b, uint16(dom)) }

// What a port is bound to. Source: event_channel.h, EVTCHNSTAT_*.
const (
	EvtchnClosed      = 0
	EvtchnUnbound     = 1
	EvtchnInterdomain = 2
	EvtchnPIRQ        = 3
	EvtchnVIRQ        = 4
	EvtchnIPI         = 5
)

// EvtchnStatus is what a port of a domain is bound to.
type EvtchnStatus struct {
	Status     uint32
	VCPU       uint32
	Remote     DomID  // unbound (who may bind) and interdomain
	RemotePort Port   // interdomain
	IRQ        uint32 // pirq or virq
}

// AppendEvtchnStatus appends the argument of EVTCHNOP_status.
func AppendEvtchnStatus(b []byte, dom DomID, p Port) []byte {
	b = append32(append16(b, uint16(dom), 0), uint32(p))
	return pad(b, 16)
}

// ParseEvtchnStatus reads the answer.
func ParseEvtchnStatus(b []byte) EvtchnStatus {
	s := EvtchnStatus{Status: get32(b, 8), VCPU: get32(b, 12)}
	switch s.Status {
	case EvtchnUnbound:
		s.Remote = DomID(get16(b, 16))
	case EvtchnInterdomain:
		s.Remote, s.RemotePort = DomID(get16(b, 16)), Port(get32(b, 20))
	case EvtchnPIRQ, EvtchnVIRQ:
		s.IRQ = get32(b, 16)
	}
	return s
}

// HVM parameters. Source: hvm/params.h, HVM_PARAM_*.
const (
	ParamCallbackIRQ        = 0
	ParamStorePFN           = 1
	ParamStoreEvtchn        = 2
	ParamIOReqPFN           = 5
	ParamBufIOReqPFN        = 6
	ParamViridian           = 9
	ParamTimerMode          = 10
	ParamHPETEnabled        = 11
	ParamIdentPT            = 12
	ParamACPISState         = 14
	ParamVM86TSS            = 15
	ParamVPTAlign           = 16
	ParamConsolePFN         = 17
	ParamConsoleEvtchn      = 18
	ParamACPIIOPorts        = 19
	ParamNestedHVM          = 24 // up to 4.14
	ParamPagingRingPFN      = 27
	ParamMonitorRingPFN     = 28
	ParamSharingRingPFN     = 29
	ParamTripleFaultReason  = 31
	ParamIOReqServerPFN     = 32
	ParamNrIOReqServerPages = 33
	ParamVMGenerationIDAddr = 34
	ParamAltp2m             = 35 // up to 4.18
	ParamX87FIPWidth        = 36
	ParamVM86TSSSized       = 37
	ParamMCACap             = 38
)

// HVMParamSize is sizeof(struct xen_hvm_param).
const HVMParamSize = 16

// AppendHVMParam appends the argument of HVMOP_set_param and HVMOP_get_param.
func AppendHVMParam(b []byte, dom DomID, index uint32, value uint64) []byte {
	b = append32(append16(b, uint16(dom), 0), index)
	return append64(b, value)
}

// ParseHVMParam returns the value in the answer.
func ParseHVMParam(b []byte) uint64 { return get64(b, 8) }

// AppendRemoteShutdown appends the argument of SCHEDOP_remote_shutdown.
func AppendRemoteShutdown(b []byte, dom DomID, reason ShutdownReason) []byte {
	return append32(append16(b, uint16(dom), 0), uint32(reason))
}

// Status of a grant operation. Source: grant_table.h, GNTST_*.
const (
	GrantOK         = 0
	GrantError      = -1
	GrantBadDomain  = -2
	GrantBadRef     = -3
	GrantBadHandle  = -4
	GrantNoDevice   = -7
	GrantPermission = -8
	GrantBadPage    = -9
	GrantBadCopyArg = -10
	GrantAddressBig = -11
	GrantTryAgain   = -12
	GrantNoSpace    = -13 // 4.16
)

// AppendGrantSetupTable appends the argument of GNTTABOP_setup_table.
func AppendGrantSetupTable(b []byte, dom DomID, frames uint32, addr uint64) []byte {
	b = append32(append16(b, uint16(dom), 0), frames)
	return append64(pad(b, 8), addr)
}

// ParseGrantSetupTable returns the status of the answer.
func ParseGrantSetupTable(b []byte) int16 { return int16(get16(b, 8)) }

// AppendGrantQuerySize appends the argument of GNTTABOP_query_size.
func AppendGrantQuerySize(b []byte, dom DomID) []byte { return pad(append16(b, uint16(dom)), 14) }

// ParseGrantQuerySize returns how many frames the table has and may have.
func ParseGrantQuerySize(b []byte) (frames, limit uint32, status int16) {
	return get32(b, 4), get32(b, 8), int16(get16(b, 12))
}

// AppendGrantGetVersion appends the argument of GNTTABOP_get_version.
func AppendGrantGetVersion(b []byte, dom DomID) []byte { return pad(append16(b, uint16(dom)), 6) }

// ParseGrantGetVersion returns the version in the answer.
func ParseGrantGetVersion(b []byte) uint32 { return get32(b, 4) }

// Flags of a version 1 grant entry. Source: grant_table.h, GTF_*.
const (
	GrantPermitAccess = 1
	GrantReadOnly     = 1 << 2
)

// GrantEntryV1Size is sizeof(struct grant_entry_v1).
const GrantEntryV1Size = 8

// AppendGrantEntryV1 appends an entry of a version 1 grant table.
func AppendGrantEntryV1(b []byte, flags uint16, dom DomID, frame uint32) []byte {
	return append32(append16(b, flags, uint16(dom)), frame)
}

// Kinds of AppendMapPIRQ. Source: physdev.h, MAP_PIRQ_TYPE_*.
const (
	MapPIRQGSI = 1
)

// AppendMapPIRQ appends the argument of PHYSDEVOP_map_pirq; pirq -1 lets Xen choose.
func AppendMapPIRQ(b []byte, dom DomID, typ, index, pirq int32) []byte {
	b = append32(append16(b, uint16(dom), 0), uint32(typ), uint32(index), uint32(pirq))
	return pad(b, 24)
}

// ParseMapPIRQ returns the pirq of the answer.
func ParseMapPIRQ(b []byte) int32 { return int32(get32(b, 12)) }

// AppendUnmapPIRQ appends the argument of PHYSDEVOP_unmap_pirq.
func AppendUnmapPIRQ(b []byte, dom DomID, pirq int32) []byte {
	return append32(append16(b, uint16(dom), 0), uint32(pirq))
}

// AppendSetupGSI appends the argument of PHYSDEVOP_setup_gsi.
func AppendSetupGSI(b []byte, gsi int32, triggering, polarity uint8) []byte {
	return append8(append32(b, uint32(gsi)), triggering, polarity, 0, 0)
}
