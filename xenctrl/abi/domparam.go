package abi

// Payloads of domctls that set one thing about a domain.

// AppendMaxMem appends the argument of max_mem, in KiB.
func AppendMaxMem(b []byte, kib uint64) []byte { return append64(b, kib) }

// AppendMaxVCPUs appends the argument of max_vcpus.
func AppendMaxVCPUs(b []byte, n uint32) []byte { return append32(b, n) }

// AppendAddressSize appends the argument of set_address_size: 32 or 64.
func AppendAddressSize(b []byte, bits uint32) []byte { return append32(b, bits) }

// ParseAddressSize reads the answer of get_address_size.
func ParseAddressSize(b []byte) uint32 { return get32(b, 0) }

// AppendHypercallInit appends the frame that is to become the hypercall page.
func AppendHypercallInit(b []byte, frame uint64) []byte { return append64(b, frame) }

// AppendTimeOffset appends the argument of settimeoffset.
func AppendTimeOffset(b []byte, seconds int64) []byte { return append64(b, uint64(seconds)) }

// AppendDomainHandle appends the argument of setdomainhandle.
func AppendDomainHandle(b []byte, u UUID) []byte { return append(b, u[:]...) }

// AppendSetDebugging appends the argument of setdebugging.
func AppendSetDebugging(b []byte, on bool) []byte { return append(b, bool8(on)) }

// Triggers of AppendSendTrigger. Source: domctl.h, XEN_DOMCTL_SENDTRIGGER_*.
const (
	TriggerNMI   = 0
	TriggerReset = 1
	TriggerInit  = 2
	TriggerPower = 3
	TriggerSleep = 4
)

// AppendSendTrigger appends the argument of sendtrigger.
func AppendSendTrigger(b []byte, trigger, vcpu uint32) []byte { return append32(b, trigger, vcpu) }

// AppendSubscribe appends the argument of subscribe: a port to notify.
func AppendSubscribe(b []byte, port uint32) []byte { return append32(b, port) }

// AppendSetTarget appends the argument of set_target.
func AppendSetTarget(b []byte, target DomID) []byte { return append16(b, uint16(target)) }

// AppendVIRQHandler appends the argument of set_virq_handler.
func AppendVIRQHandler(b []byte, virq uint32) []byte { return append32(b, virq) }

// AppendAccessRequired appends the argument of set_access_required.
func AppendAccessRequired(b []byte, on bool) []byte { return append(b, bool8(on)) }

// TSC modes. Source: asm-x86 time.h, TSC_MODE_*.
const (
	TSCDefault       = 0
	TSCAlwaysEmulate = 1
	TSCNeverEmulate  = 2
)

// TSCInfo is how a domain sees the time-stamp counter.
type TSCInfo struct {
	Mode        uint32
	KHz         uint32
	Incarnation uint32
	ElapsedNS   uint64
}

// AppendTSCInfo appends the argument of settscinfo.
func AppendTSCInfo(b []byte, t TSCInfo) []byte {
	b = append32(b, t.Mode, t.KHz, t.Incarnation, 0)
	return append64(b, t.ElapsedNS)
}

// ParseTSCInfo reads the answer of gettscinfo.
func ParseTSCInfo(b []byte) TSCInfo {
	return TSCInfo{get32(b, 0), get32(b, 4), get32(b, 8), get64(b, 16)}
}

// AppendPagingMempool appends the argument of set_paging_mempool_size (4.17).
func AppendPagingMempool(b []byte, bytes uint64) []byte { return append64(b, bytes) }

// ParsePagingMempool reads the answer of get_paging_mempool_size.
func ParsePagingMempool(b []byte) uint64 { return get64(b, 0) }

// AppendHVMContext appends the argument of get/sethvmcontext. Address 0 with
// get asks for the size.
func AppendHVMContext(b []byte, size uint32, addr uint64) []byte {
	b = append32(b, size, 0)
	return append64(b, addr)
}

// ParseHVMContextSize returns the size in the answer.
func ParseHVMContextSize(b []byte) uint32 { return get32(b, 0) }

// AppendHVMContextPartial appends the argument of gethvmcontext_partial.
func AppendHVMContextPartial(b []byte, typ, instance uint32, size, addr uint64) []byte {
	b = append32(b, typ, instance)
	return append64(b, size, addr)
}

// ParseHVMContextPartialSize returns the size in the answer.
func ParseHVMContextPartialSize(b []byte) uint64 { return get64(b, 8) }

// AppendVNUMA appends the argument of setvnumainfo.
func AppendVNUMA(b []byte, nodes, ranges, vcpus uint32, distance, vcpuToVnode, vnodeToPnode, memrange uint64) []byte {
	b = append32(b, nodes, ranges, vcpus, 0)
	return append64(b, distance, vcpuToVnode, vnodeToPnode, memrange)
}

// VMemRange is a range of guest memory on one virtual node.
type VMemRange struct {
	Start, End uint64 // guest physical addresses
	Flags      uint32
	Node       uint32
}

// VMemRangeSize is sizeof(struct xen_vmemrange).
const VMemRangeSize = 24

// AppendVMemRange appends one element of the array.
func AppendVMemRange(b []byte, r VMemRange) []byte {
	b = append64(b, r.Start, r.End)
	return append32(b, r.Flags, r.Node)
}
