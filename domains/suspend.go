package domains

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// suspendTimeout is how long a guest that has acknowledged may take to suspend.
const suspendTimeout = 60 * time.Second

// Suspend asks guest id to suspend and returns once its vcpus have stopped and
// Xen reports shutdown with reason suspend. It waits up to a minute for the
// guest's acknowledgement (code NoAck: the request was taken back, the guest runs
// on) and another for the suspend itself (code TimedOut: it may still happen).
// A guest that is suspended already stays so. Resume lets it go on. When ctx ends
// the guest runs: a request that was not acknowledged is taken back, and a guest
// that suspends all the same is resumed.
//
// The request goes through control/shutdown, which every guest that can suspend
// listens to. Source: libxl_dom_suspend.c.
func (m *Manager) Suspend(ctx context.Context, id abi.DomID) error {
	op := fmt.Sprintf("suspend domain %d", id)
	d, err := m.info(id)
	if err != nil {
		return err
	}
	if d.Shutdown {
		return suspended(op, d)
	}
	if d.Paused {
		return &Error{Kind: Failed, Op: op, Dom: id, Err: errors.New("the guest is paused and cannot answer"), Hint: fmt.Sprintf("xl unpause %d", id)}
	}
	life, err := m.Watch(context.WithoutCancel(ctx), id)
	if err != nil {
		return err
	}
	defer life.Close()
	if err := m.Shutdown(ctx, id, AskSuspend); err != nil {
		if !errors.Is(err, NoAck) && !errors.Is(err, Interrupted) {
			return err
		}
		if back, failed := m.withdraw(ctx, id); back || failed != nil {
			return errors.Join(err, failed)
		}
	} // otherwise it acknowledged just now, and will suspend
	if err := m.awaitSuspend(op, id, life); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fail(Interrupted, id, op, errors.Join(context.Cause(ctx), m.Resume(context.WithoutCancel(ctx), id)))
	}
	return nil
}

// lookEvery is how often Xen is asked whether the guest has suspended, should
// xenstored not say so.
const lookEvery = time.Second

// awaitSuspend waits for a guest that has acknowledged. It cannot be interrupted,
// and goes on when xenstored is lost: a guest that suspends when nobody looks any
// more would stay so.
func (m *Manager) awaitSuspend(op string, id abi.DomID, life *Watch) error {
	late, look := time.NewTimer(suspendTimeout), time.NewTicker(lookEvery)
	defer late.Stop()
	defer look.Stop()
	events := life.Events()
	for {
		select {
		case _, more := <-events:
			if !more {
				events = nil
			}
		case <-look.C:
		case <-late.C:
			return &Error{Kind: TimedOut, Op: op, Dom: id,
				Err:  fmt.Errorf("the guest acknowledged the request and did not suspend within %s", suspendTimeout),
				Hint: "look at its console; it may still suspend, and can then only be destroyed or resumed"}
		}
		d, err := m.info(id)
		switch {
		case errors.Is(err, NoDomain), err == nil && d.Dying:
			return fail(GuestDied, id, op, errGuestDied(id))
		case err == nil && d.Shutdown:
			return suspended(op, d)
		}
	}
}

// suspended judges how a guest ended that was asked to suspend.
func suspended(op string, d Domain) error {
	if d.Reason == Suspend {
		return nil
	}
	return fail(GuestDied, d.ID, op, fmt.Errorf("the guest ended (reason %d) instead of suspending", d.Reason))
}

// withdraw takes back a suspend request that was not acknowledged, so that the
// guest does not act on it much later. It reports false when the guest has
// acknowledged meanwhile: then the request stands.
func (m *Manager) withdraw(ctx context.Context, id abi.DomID) (back bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	path := domainPath(id) + "/control/shutdown"
	err = m.store.Update(ctx, func(tx *xenstore.Tx) error {
		v, ok, err := readNode(ctx, tx, path)
		if back = ok && v == string(AskSuspend); !back || err != nil {
			return err
		}
		return tx.Write(ctx, path, "")
	})
	if err != nil {
		return false, fail(Store, id, "take back the request to suspend", err)
	}
	return back, nil
}

// Registers in a struct vcpu_guest_context of a 64-bit vcpu. Source:
// xen/include/public/arch-x86/xen-x86_64.h; the registers follow 512 bytes of FPU
// state and 8 of flags.
const ctxRAX = 520 + 10*8

// Resume lets the suspended guest id go on where it is: for the guest its suspend
// was cancelled. The error's code is Failed when it is not suspended.
//
// Source: libxl_dom_suspend.c and xg_resume.c: the suspend hypercall of vcpu 0
// returns 1, then Xen wakes the vcpus, then xenstored is told.
func (m *Manager) Resume(ctx context.Context, id abi.DomID) error {
	op := fmt.Sprintf("resume domain %d", id)
	d, err := m.info(id)
	if err != nil {
		return err
	}
	if !d.Shutdown || d.Reason != Suspend {
		return failf(Failed, id, op, "it is not suspended")
	}
	if err := m.cancelSuspend(id, d.Hardware); err != nil {
		return fail(Hypervisor, id, op, err)
	}
	if err := m.xen.Resume(id); err != nil {
		return fail(Hypervisor, id, op, err)
	}
	if err := m.store.Resume(ctx, id); err != nil {
		return fail(Store, id, op, err)
	}
	return nil
}

// cancelSuspend has the guest's suspend hypercall return 1. An HVM guest without
// drivers was stopped from outside and made none.
func (m *Manager) cancelSuspend(id abi.DomID, hardware bool) error {
	if hardware {
		irq, err := m.xen.HVMParam(id, abi.ParamCallbackIRQ)
		if err != nil || irq == 0 {
			return err
		}
	}
	ctx, err := m.xen.VCPUContext(id, 0)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint64(ctx[ctxRAX:], 1)
	return m.xen.SetVCPUContext(id, 0, ctx)
}
