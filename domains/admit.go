package domains

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"goxl/domains/config"
	"goxl/xenctrl/abi"
)

// Admit returns every reason why Create would refuse guest s here that can be told
// beforehand: what this toolstack or this host cannot do, a name that is taken, too
// little memory, a bridge that is missing. Nothing is changed, so memory that domain
// 0 would give counts as free. None is a promise.
func (m *Manager) Admit(ctx context.Context, s *config.Spec) (reasons []error) {
	add := func(err error) {
		if err != nil {
			reasons = append(reasons, err)
		}
	}
	s = cloneSpec(s)
	op := "create " + s.CInfo.Name.Value()
	add(refuse(s))
	add(m.checkName(ctx, op, abi.DomInvalid, s.CInfo.Name.Value()))
	if err := m.setDefaults(ctx, s); err != nil {
		add(err)
	} else {
		add(m.fits(ctx, s))
	}
	for i := range s.NICs {
		add(m.reachable(op, i, &s.NICs[i]))
	}
	return reasons
}

// fits fails when there is too little memory for a guest with all defaults, even if
// domain 0 gave what it may.
func (m *Manager) fits(ctx context.Context, s *config.Spec) error {
	need := neededMemory(&s.BInfo)
	free, err := m.freeMemory()
	if err != nil || free >= need {
		return err
	}
	short := m.shortage(ctx, abi.DomInvalid, s.CInfo.Name.Value(), need, free)
	auto, err := m.autoballoon()
	if err != nil {
		return err
	}
	var why *Shortage
	if auto && errors.As(short, &why) {
		for _, g := range why.Givers {
			if g.ID == 0 && g.Spare >= why.Missing() {
				return nil
			}
		}
	}
	return short
}

// reachable fails when an interface's bridge does not exist here.
func (m *Manager) reachable(op string, i int, n *config.NIC) error {
	if n.Backend.DomID != 0 || n.Backend.Name.IsSet() || filepath.Base(n.Script.Or("vif-bridge")) != "vif-bridge" {
		return nil // another domain's, or another script's affair
	}
	if _, err := m.host.ResolveBridge(n.Bridge.Or("xenbr0")); err != nil {
		return fail(DeviceFailed, 0, fmt.Sprintf("%s: interface %d", op, i), err)
	}
	return nil
}
