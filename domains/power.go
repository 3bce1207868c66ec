package domains

import (
	"context"
	"errors"
	"fmt"
	"time"

	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// ackTimeout is how long a guest may take to acknowledge a control request.
const ackTimeout = 60 * time.Second

// Request is what a toolstack may ask a guest to do.
type Request string

// The requests, as they are spelled in control/shutdown.
const (
	AskPoweroff Request = "poweroff"
	AskReboot   Request = "reboot"
	AskSuspend  Request = "suspend"
	AskHalt     Request = "halt"
)

// Pause stops the vcpus of domain id.
func (m *Manager) Pause(ctx context.Context, id abi.DomID) error {
	return m.hyper(id, "pause", m.xen.Pause(id))
}

// Unpause lets the vcpus of domain id run. The device model of an HVM guest is
// resumed first.
func (m *Manager) Unpause(ctx context.Context, id abi.DomID) error {
	t, err := m.TypeOf(ctx, id)
	if err != nil {
		return err
	}
	if t == HVM {
		if err := m.resumeDeviceModel(ctx, id); err != nil {
			return err
		}
	}
	return m.hyper(id, "unpause", m.xen.Unpause(id))
}

// Shutdown asks guest id to power off, reboot or halt, and waits up to a minute
// until it acknowledges; what it does then, and how long it takes, is up to it.
// An HVM guest without drivers cannot be asked: the error's code is NoPVControl,
// and Trigger with TriggerPower or TriggerReset is the way. Code NoAck means that
// the guest did not answer; the request stays.
func (m *Manager) Shutdown(ctx context.Context, id abi.DomID, r Request) error {
	op := fmt.Sprintf("ask domain %d to %s", id, r)
	if ok, err := m.pvControl(ctx, id); err != nil {
		return err
	} else if !ok {
		return &Error{Kind: NoPVControl, Op: op, Dom: id, Err: errors.New("the guest has no drivers that listen to requests"), Hint: "use -F to press its ACPI button instead"}
	}
	path := domainPath(id) + "/control/shutdown"
	if err := m.store.Write(ctx, path, string(r)); err != nil {
		return fail(Store, id, op, err)
	}
	wait, cancel := context.WithTimeoutCause(ctx, ackTimeout, errNoAck)
	defer cancel()
	_, err := m.store.Await(wait, path, func(v string, exists bool) bool { return !exists || v == "" })
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNoAck):
		return &Error{Kind: NoAck, Op: op, Dom: id, Err: errNoAck, Hint: "is it up, and does it run a Xen aware kernel?"}
	case ctx.Err() != nil:
		return fail(Interrupted, id, op, err)
	}
	return fail(Store, id, op, err)
}

var errNoAck = errors.New("the guest did not acknowledge within " + ackTimeout.String())

// pvControl reports whether the guest can be asked through xenstore: PV and PVH
// always, HVM once its drivers have set up an event interrupt.
func (m *Manager) pvControl(ctx context.Context, id abi.DomID) (bool, error) {
	t, err := m.TypeOf(ctx, id)
	if err != nil || t != HVM {
		return err == nil, err
	}
	v, err := m.xen.HVMParam(id, abi.ParamCallbackIRQ)
	if err != nil {
		return false, m.hyper(id, "read the callback interrupt", err)
	}
	return v != 0, nil
}

// Trigger is a button or an interrupt for a guest.
type Trigger uint32

// The triggers.
const (
	TriggerNMI   Trigger = abi.TriggerNMI
	TriggerReset Trigger = abi.TriggerReset // the reset button
	TriggerInit  Trigger = abi.TriggerInit
	TriggerPower Trigger = abi.TriggerPower // the power button
	TriggerSleep Trigger = abi.TriggerSleep // the sleep button
	// TriggerS3Resume wakes an HVM guest from suspend to memory.
	TriggerS3Resume Trigger = 1 << 16
)

// SendTrigger presses a button of guest id, or interrupts one of its vcpus.
func (m *Manager) SendTrigger(ctx context.Context, id abi.DomID, t Trigger, vcpu uint32) error {
	if t == TriggerS3Resume {
		return failf(Unsupported, id, "send trigger", "waking HVM guests is not implemented yet: %w", errUnsupported)
	}
	return m.hyper(id, "send trigger", m.xen.SendTrigger(id, uint32(t), vcpu))
}

// SysRq sends a magic system request letter to a Linux guest.
func (m *Manager) SysRq(ctx context.Context, id abi.DomID, letter byte) error {
	if _, err := m.info(id); err != nil {
		return err
	}
	if err := m.store.Write(ctx, domainPath(id)+"/control/sysrq", string([]byte{letter})); err != nil {
		return fail(Store, id, fmt.Sprintf("send sysrq to domain %d", id), err)
	}
	return nil
}

// hyper gives an error of Xen its code. It passes nil through.
func (m *Manager) hyper(id abi.DomID, op string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, xenctrl.ErrNoDomain) {
		return fail(NoDomain, id, fmt.Sprintf("%s: domain %d", op, id), errors.New("no such domain"))
	}
	return fail(Hypervisor, id, op, err)
}
