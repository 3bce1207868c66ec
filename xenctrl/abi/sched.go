package abi

// Schedulers. Source: domctl.h, XEN_SCHEDULER_*.
const (
	SchedCredit   = 5
	SchedCredit2  = 6
	SchedARINC653 = 7
	SchedRTDS     = 8
	SchedNull     = 9
)

// Commands of the domain's scheduler_op. Source: domctl.h, XEN_DOMCTL_SCHEDOP_*.
const (
	SchedPutInfo     = 0
	SchedGetInfo     = 1
	SchedPutVCPUInfo = 2
	SchedGetVCPUInfo = 3
)

// RTDSExtratime is the flag of RTDS parameters that lets a vcpu use idle time.
const RTDSExtratime = 1

// SchedParams are one domain's (or vcpu's) parameters for its scheduler; which
// fields mean something depends on the scheduler.
type SchedParams struct {
	Weight uint16 // credit, credit2
	Cap    uint16 // credit, credit2: percent of one CPU, 0 is none
	Period uint32 // rtds, microseconds
	Budget uint32 // rtds, microseconds
	Flags  uint32 // rtds
}

// appendTo writes the 12 bytes of the union for scheduler sched.
func (p SchedParams) appendTo(b []byte, sched uint32) []byte {
	switch sched {
	case SchedCredit, SchedCredit2:
		return pad(append16(b, p.Weight, p.Cap), 8)
	case SchedRTDS:
		return append32(b, p.Period, p.Budget, p.Flags)
	}
	return pad(b, 12)
}

func parseSchedParams(b []byte, sched uint32) SchedParams {
	switch sched {
	case SchedCredit, SchedCredit2:
		return SchedParams{Weight: get16(b, 0), Cap: get16(b, 2)}
	case SchedRTDS:
		return SchedParams{Period: get32(b, 0), Budget: get32(b, 4), Flags: get32(b, 8)}
	}
	return SchedParams{}
}

// AppendDomainSched appends domctl scheduler_op with put or get info.
func AppendDomainSched(b []byte, sched, cmd uint32, p SchedParams) []byte {
	b = append32(b, sched, cmd)
	return pad(p.appendTo(b, sched), 4)
}

// ParseDomainSched reads the answer of get info.
func ParseDomainSched(b []byte, sched uint32) SchedParams { return parseSchedParams(b[8:], sched) }

// AppendDomainSchedVCPUs appends domctl scheduler_op with put or get vcpu info.
func AppendDomainSchedVCPUs(b []byte, sched, cmd uint32, addr uint64, n uint32) []byte {
	b = append32(b, sched, cmd)
	b = append64(b, addr)
	return append32(b, n, 0)
}

// SchedVCPUSize is sizeof(struct xen_domctl_schedparam_vcpu).
const SchedVCPUSize = 16

// AppendSchedVCPU appends one element of the vcpu array.
func AppendSchedVCPU(b []byte, sched, vcpu uint32, p SchedParams) []byte {
	return append32(p.appendTo(b, sched), vcpu)
}

// ParseSchedVCPU reads one element of the vcpu array.
func ParseSchedVCPU(b []byte, sched uint32) (vcpu uint32, p SchedParams) {
	return get32(b, 12), parseSchedParams(b, sched)
}

// PoolSchedParams are the parameters of a CPU pool's scheduler.
type PoolSchedParams struct {
	TimesliceMS uint32 // credit: 1 to 1000
	RatelimitUS uint32 // credit, credit2: 0 or 100 to 500000
	MigrDelayUS uint32 // credit: at most 100000
}

// AppendPoolSched appends sysctl scheduler_op with cmd SchedPutInfo or SchedGetInfo.
func AppendPoolSched(b []byte, pool, sched, cmd uint32, p PoolSchedParams) []byte {
	b = append32(b, pool, sched, cmd, 0)
	if sched == SchedCredit2 {
		return pad(append32(b, p.RatelimitUS), 12)
	}
	return pad(append32(b, p.TimesliceMS, p.RatelimitUS, p.MigrDelayUS), 4)
}

// ParsePoolSched reads the answer of sysctl scheduler_op.
func ParsePoolSched(b []byte, sched uint32) PoolSchedParams {
	if sched == SchedCredit2 {
		return PoolSchedParams{RatelimitUS: get32(b, 16)}
	}
	return PoolSchedParams{get32(b, 16), get32(b, 20), get32(b, 24)}
}

// Operations of cpupool_op. Source: sysctl.h, XEN_SYSCTL_CPUPOOL_OP_*.
const (
	PoolCreate     = 1
	PoolDestroy    = 2
	PoolInfo       = 3 // the first pool with this id or a higher one
	PoolAddCPU     = 4
	PoolRemoveCPU  = 5
	PoolMoveDomain = 6
	PoolFreeInfo   = 7 // CPUs in no pool

	PoolAny = 0xffffffff // as pool id: choose one; as cpu: any
)

// CPUPoolOp is the argument and the answer of cpupool_op.
type CPUPoolOp struct {
	Op, Pool, Sched, Dom, CPU uint32
	Domains                   uint32 // out
	Map                       uint64 // address of the CPU bitmap
	MapBits                   uint32
}

// AppendCPUPoolOp appends o.
func AppendCPUPoolOp(b []byte, o CPUPoolOp) []byte {
	b = append32(b, o.Op, o.Pool, o.Sched, o.Dom, o.CPU, o.Domains)
	return AppendBitmap(b, o.Map, o.MapBits)
}

// ParseCPUPoolOp reads the answer.
func ParseCPUPoolOp(b []byte) CPUPoolOp {
	return CPUPoolOp{get32(b, 0), get32(b, 4), get32(b, 8), get32(b, 12), get32(b, 16),
		get32(b, 20), get64(b, 24), get32(b, 32)}
}
