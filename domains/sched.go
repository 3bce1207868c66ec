package domains

import (
	"context"
	"errors"
	"fmt"

	"goxl/domains/config"
	"goxl/xenctrl/abi"
)

var errUnsupported = errors.ErrUnsupported

// SchedParams returns the parameters that the scheduler of domain id's cpupool
// has for it.
func (m *Manager) SchedParams(ctx context.Context, id abi.DomID) (config.SchedParams, error) {
	p, sched, err := m.schedParams(id)
	if err != nil {
		return config.SchedParams{}, err
	}
	out := config.SchedParams{Sched: schedulerOf(sched)}
	switch sched {
	case abi.SchedCredit, abi.SchedCredit2:
		out.Weight, out.Cap = config.Some(int(p.Weight)), config.Some(int(p.Cap))
	case abi.SchedRTDS: // libxl reports periods per vcpu only
		out.Period, out.Budget = config.Some(0), config.Some(0)
	}
	return out, nil
}

// schedParams returns Xen's parameters and the number of the scheduler.
func (m *Manager) schedParams(id abi.DomID) (abi.SchedParams, uint32, error) {
	d, err := m.info(id)
	if err != nil {
		return abi.SchedParams{}, 0, err
	}
	pool, err := m.xen.CPUPoolFrom(d.Pool)
	if err == nil && pool.ID != d.Pool {
		err = fmt.Errorf("cpupool %d does not exist", d.Pool)
	}
	if err != nil {
		return abi.SchedParams{}, 0, m.hyper(id, "look at the cpupool", err)
	}
	if pool.Sched != abi.SchedCredit && pool.Sched != abi.SchedCredit2 {
		return abi.SchedParams{}, pool.Sched, nil // without parameters per domain
	}
	p, err := m.xen.SchedParams(id, pool.Sched)
	if err != nil {
		return abi.SchedParams{}, 0, m.hyper(id, "read scheduling parameters", err)
	}
	return p, pool.Sched, nil
}

// setSched gives a domain the scheduling parameters that its configuration asks
// for; what that does not mention keeps Xen's value.
func (m *Manager) setSched(id abi.DomID, vcpus int, want config.SchedParams) error {
	op := fmt.Sprintf("set scheduling parameters of domain %d", id)
	p, sched, err := m.schedParams(id)
	if err != nil {
		return err
	}
	if want.Sched != config.SchedUnknown && schedulerOf(sched) != want.Sched {
		return failf(BadConfig, id, op, "its cpupool runs %s, not %s", schedulerOf(sched), want.Sched)
	}
	if sched != abi.SchedCredit && sched != abi.SchedCredit2 {
		return nil
	}
	if w, ok := want.Weight.Get(); ok {
		if w < 1 || w > 65535 {
			return failf(BadConfig, id, op, "cpu_weight %d is not between 1 and 65535", w)
		}
		p.Weight = uint16(w)
	}
	if c, ok := want.Cap.Get(); ok {
		if c < 0 || c > vcpus*100 {
			return failf(BadConfig, id, op, "cap %d is not between 0 and %d (100 for each vcpu)", c, vcpus*100)
		}
		p.Cap = uint16(c)
	}
	return m.hyper(id, op, m.xen.SetSchedParams(id, sched, p))
}

// schedulerOf is the configuration's name of a scheduler number of Xen.
func schedulerOf(n uint32) config.Scheduler {
	switch n {
	case abi.SchedCredit:
		return config.SchedCredit
	case abi.SchedCredit2:
		return config.SchedCredit2
	case abi.SchedARINC653:
		return config.SchedARINC653
	case abi.SchedRTDS:
		return config.SchedRTDS
	case abi.SchedNull:
		return config.SchedNull
	}
	return config.SchedUnknown
}
