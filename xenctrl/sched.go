package xenctrl

import "goxl/xenctrl/abi"

// SchedID returns the scheduler of the host's default pool: abi.SchedCredit2, …
func (h *Handle) SchedID() (uint32, error) {
	const op = "get scheduler"
	c, err := h.begin(0)
	if err != nil {
		return 0, hostError(op, err)
	}
	defer c.end()
	b, err := c.sysctl(op, abi.SysctlSchedID)
	if err != nil {
		return 0, err
	}
	return abi.ParseSchedID(b), nil
}

// SchedParams returns the parameters of domain id for scheduler sched, which
// must be the one of its pool.
func (h *Handle) SchedParams(id DomID, sched uint32) (SchedParams, error) {
	const op = "get scheduler parameters"
	c, err := h.begin(0)
	if err != nil {
		return SchedParams{}, &OpError{op, id, err}
	}
	defer c.end()
	abi.AppendDomainSched(c.domArg(), sched, abi.SchedGetInfo, SchedParams{})
	_, b, err := c.domctl(op, abi.DomctlSchedulerOp, id)
	if err != nil {
		return SchedParams{}, err
	}
	return abi.ParseDomainSched(b, sched), nil
}

// SetSchedParams sets them.
func (h *Handle) SetSchedParams(id DomID, sched uint32, p SchedParams) error {
	return h.domctl("set scheduler parameters", abi.DomctlSchedulerOp, id,
		abi.AppendDomainSched(nil, sched, abi.SchedPutInfo, p))
}

// VCPUSchedParams returns the parameters of single vcpus (RTDS).
func (h *Handle) VCPUSchedParams(id DomID, sched uint32, vcpus []uint32) ([]SchedParams, error) {
	out := make([]SchedParams, len(vcpus))
	err := h.vcpuSched("get vcpu scheduler parameters", abi.SchedGetVCPUInfo, id, sched, vcpus, out)
	return out, err
}

// SetVCPUSchedParams sets the parameters of single vcpus (RTDS).
func (h *Handle) SetVCPUSchedParams(id DomID, sched uint32, vcpus []uint32, p []SchedParams) error {
	return h.vcpuSched("set vcpu scheduler parameters", abi.SchedPutVCPUInfo, id, sched, vcpus, p)
}

func (h *Handle) vcpuSched(op string, cmd uint32, id DomID, sched uint32, vcpus []uint32, p []SchedParams) error {
	c, err := h.begin(len(vcpus) * abi.SchedVCPUSize)
	if err != nil {
		return &OpError{op, id, err}
	}
	defer c.end()
	dst := c.data()[:0]
	for i, v := range vcpus {
		dst = abi.AppendSchedVCPU(dst, sched, v, p[i])
	}
	abi.AppendDomainSchedVCPUs(c.domArg(), sched, cmd, c.addr(0), uint32(len(vcpus)))
	if _, _, err := c.domctl(op, abi.DomctlSchedulerOp, id); err != nil {
		return err
	}
	for i := range p {
		_, p[i] = abi.ParseSchedVCPU(c.data()[i*abi.SchedVCPUSize:], sched)
	}
	return nil
}

// PoolSchedParams returns the parameters of the scheduler of a CPU pool.
func (h *Handle) PoolSchedParams(pool, sched uint32) (abi.PoolSchedParams, error) {
	return h.poolSched("get pool scheduler parameters", pool, sched, abi.SchedGetInfo, abi.PoolSchedParams{})
}

// SetPoolSchedParams sets them and returns what Xen uses now.
func (h *Handle) SetPoolSchedParams(pool, sched uint32, p abi.PoolSchedParams) (abi.PoolSchedParams, error) {
	return h.poolSched("set pool scheduler parameters", pool, sched, abi.SchedPutInfo, p)
}

func (h *Handle) poolSched(op string, pool, sched, cmd uint32, p abi.PoolSchedParams) (abi.PoolSchedParams, error) {
	c, err := h.begin(0)
	if err != nil {
		return p, hostError(op, err)
	}
	defer c.end()
	abi.AppendPoolSched(c.sysArg(), pool, sched, cmd, p)
	b, err := c.sysctl(op, abi.SysctlSchedulerOp)
	if err != nil {
		return p, err
	}
	return abi.ParsePoolSched(b, sched), nil
}

// CPUPool is a set of CPUs with a scheduler of its own.
type CPUPool struct {
	ID      uint32
	Sched   uint32 // abi.SchedCredit2, …
	Domains uint32
	CPUs    CPUMap
}

// CPUPools returns all pools in the order of their ids.
func (h *Handle) CPUPools() ([]CPUPool, error) {
	var out []CPUPool
	for next := uint32(0); ; {
		p, err := h.CPUPoolFrom(next)
		if isErrno(err, errNoEntry) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, p)
		next = p.ID + 1
	}
}

// CPUPoolFrom returns the pool with the lowest id that is not below id;
// syscall.ENOENT when there is none.
func (h *Handle) CPUPoolFrom(id uint32) (CPUPool, error) {
	o, cpus, err := h.cpuPoolOp("get CPU pool", abi.CPUPoolOp{Op: abi.PoolInfo, Pool: id}, true)
	return CPUPool{o.Pool, o.Sched, o.Domains, cpus}, err
}

// FreeCPUs returns the CPUs that are in no pool.
func (h *Handle) FreeCPUs() (CPUMap, error) {
	_, cpus, err := h.cpuPoolOp("get free CPUs", abi.CPUPoolOp{Op: abi.PoolFreeInfo}, true)
	return cpus, err
}

// CreateCPUPool makes an empty pool and returns its id.
func (h *Handle) CreateCPUPool(sched uint32) (uint32, error) {
	o, _, err := h.cpuPoolOp("create CPU pool", abi.CPUPoolOp{Op: abi.PoolCreate, Pool: abi.PoolAny, Sched: sched}, false)
	return o.Pool, err
}

// DestroyCPUPool removes a pool, which must have no domains and no CPUs.
func (h *Handle) DestroyCPUPool(id uint32) error {
	_, _, err := h.cpuPoolOp("destroy CPU pool", abi.CPUPoolOp{Op: abi.PoolDestroy, Pool: id}, false)
	return err
}

// AddCPU puts a free CPU into a pool; abi.PoolAny takes any.
func (h *Handle) AddCPU(pool, cpu uint32) error {
	_, _, err := h.cpuPoolOp("add CPU to pool", abi.CPUPoolOp{Op: abi.PoolAddCPU, Pool: pool, CPU: cpu}, false)
	return err
}

// RemoveCPU takes a CPU out of a pool; abi.PoolAny takes the last one.
func (h *Handle) RemoveCPU(pool, cpu uint32) error {
	_, _, err := h.cpuPoolOp("remove CPU from pool", abi.CPUPoolOp{Op: abi.PoolRemoveCPU, Pool: pool, CPU: cpu}, false)
	return err
}

// MoveDomainToCPUPool makes domain id run on the CPUs of a pool.
func (h *Handle) MoveDomainToCPUPool(id DomID, pool uint32) error {
	_, _, err := h.cpuPoolOp("move to CPU pool", abi.CPUPoolOp{Op: abi.PoolMoveDomain, Pool: pool, Dom: uint32(id)}, false)
	if err != nil {
		return &OpError{"move to CPU pool", id, unwrapOp(err)}
	}
	return nil
}

func (h *Handle) cpuPoolOp(op string, o abi.CPUPoolOp, wantMap bool) (abi.CPUPoolOp, CPUMap, error) {
	size := 0
	if wantMap {
		cpus, err := h.MaxCPUs()
		if err != nil {
			return o, nil, err
		}
		size = (cpus + 7) / 8
	}
	c, err := h.begin(size)
	if err != nil {
		return o, nil, hostError(op, err)
	}
	defer c.end()
	if wantMap {
		o.Map, o.MapBits = c.addr(0), uint32(8*size)
	}
	abi.AppendCPUPoolOp(c.sysArg(), o)
	b, err := c.sysctl(op, abi.SysctlCPUPoolOp)
	if err != nil {
		return o, nil, err
	}
	return abi.ParseCPUPoolOp(b), append(CPUMap(nil), c.data()...), nil
}
