package domains

import (
	"context"
	"fmt"

	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// AllVCPUs stands for every vcpu of a domain.
const AllVCPUs = -1

// VCPUs describes the vcpus of domain id, in order. A domain without any, which
// is one that is half built, gives an empty list.
func (m *Manager) VCPUs(ctx context.Context, id abi.DomID) ([]VCPU, error) {
	d, err := m.info(id)
	if err != nil {
		return nil, err
	}
	var list []VCPU
	for n := range d.MaxVCPU + 1 {
		if err := ctx.Err(); err != nil {
			return nil, fail(Interrupted, id, "list vcpus", err)
		}
		info, err := m.xen.VCPUInfo(id, uint32(n))
		if err != nil {
			return nil, m.hyper(id, "look at a vcpu", err)
		}
		hard, soft, err := m.xen.VCPUAffinity(id, uint32(n))
		if err != nil {
			return nil, m.hyper(id, "look at a vcpu's affinity", err)
		}
		list = append(list, VCPU{Number: n, CPU: int(info.CPU), Online: info.Online, Blocked: info.Blocked,
			Running: info.Running, Time: info.CPUTime, Hard: hard, Soft: soft})
	}
	return list, nil
}

// SetVCPUs makes the first n vcpus of guest id available and the others not. The
// guest's kernel follows in its own time. The error's code is OutOfRange when n
// is 0 or more than the guest was built for.
func (m *Manager) SetVCPUs(ctx context.Context, id abi.DomID, n int) error {
	op := fmt.Sprintf("give domain %d %d vcpus", id, n)
	d, err := m.info(id)
	if err != nil {
		return err
	}
	if n < 1 || n > d.MaxVCPU+1 {
		return failf(OutOfRange, id, op, "it can have between 1 and %d", d.MaxVCPU+1)
	}
	t, err := m.TypeOf(ctx, id)
	if err != nil {
		return err
	}
	if t == HVM {
		return failf(Unsupported, id, op, "hot-plugging vcpus of HVM guests is not implemented yet: %w", errUnsupported)
	}
	err = m.store.Update(ctx, func(tx *xenstore.Tx) error {
		var b xenstore.Batch
		for i := range d.MaxVCPU + 1 {
			b.Write(fmt.Sprintf("%s/cpu/%d/availability", domainPath(id), i), onlineText(i < n))
		}
		return tx.Send(ctx, &b)
	})
	if err != nil {
		return fail(Store, id, op, err)
	}
	return nil
}

func onlineText(online bool) string {
	if online {
		return "online"
	}
	return "offline"
}

// PinVCPU sets where a vcpu, or all of them, may run (hard) and prefers to run
// (soft); nil leaves that as it is. Force overrides what the hardware domain has
// pinned for a moment.
func (m *Manager) PinVCPU(ctx context.Context, id abi.DomID, vcpu int, hard, soft abi.Bitmap, force bool) error {
	first, last := vcpu, vcpu
	if vcpu == AllVCPUs {
		d, err := m.info(id)
		if err != nil {
			return err
		}
		first, last = 0, d.MaxVCPU
	}
	for n := first; n <= last; n++ {
		if err := m.pin(id, uint32(n), hard, soft, force); err != nil {
			return m.hyper(id, fmt.Sprintf("pin vcpu %d of domain %d", n, id), err)
		}
	}
	return nil
}

func (m *Manager) pin(id abi.DomID, vcpu uint32, hard, soft abi.Bitmap, force bool) error {
	if force && hard != nil {
		if err := m.xen.ForceVCPUAffinity(id, vcpu, hard); err != nil {
			return err
		}
	}
	_, _, err := m.xen.SetVCPUAffinity(id, vcpu, hard, soft)
	return err
}
