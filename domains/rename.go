package domains

import (
	"context"
	"errors"
	"fmt"

	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// Rename gives domain id another name, which no other domain may have (code
// NameTaken) unless it is empty. A stub domain is renamed with its guest.
func (m *Manager) Rename(ctx context.Context, id abi.DomID, name string) error {
	op := fmt.Sprintf("rename domain %d to %q", id, name)
	d, err := m.info(id)
	if err != nil {
		return err
	}
	stub, err := m.stubDomain(ctx, id)
	if err != nil {
		return err
	}
	var stubInfo Domain
	if stub != 0 {
		if stubInfo, err = m.info(stub); err != nil {
			return err
		}
	}
	err = m.store.Update(ctx, func(tx *xenstore.Tx) error {
		if err := m.checkNameIn(ctx, tx, op, id, name); err != nil {
			return err
		}
		var b xenstore.Batch
		b.Write(domainPath(id)+"/name", name)
		b.Write(vmPath(d.UUID)+"/name", name)
		if stub != 0 {
			b.Write(domainPath(stub)+"/name", name+"-dm")
			b.Write(vmPath(stubInfo.UUID)+"/name", name+"-dm")
		}
		return tx.Send(ctx, &b)
	})
	return storeError(id, op, err)
}

// storeError is the failure of a transaction: of xenstore, unless what was done in it
// found a cause of its own.
func storeError(id abi.DomID, op string, err error) error {
	if err == nil || errors.As(err, new(*Error)) {
		return err
	}
	return fail(Store, id, op, err)
}

// stubDomain returns the domain in which the device model of guest id runs; 0
// when it has none.
func (m *Manager) stubDomain(ctx context.Context, id abi.DomID) (abi.DomID, error) {
	s, ok, err := m.read(ctx, domainPath(id)+"/image/device-model-domid")
	if err != nil {
		return 0, fail(Store, id, "look for a stub domain", err)
	}
	if !ok {
		return 0, nil
	}
	n, err := parseDomID(s)
	if err != nil {
		return 0, nil // as libxl: what is no number is no stub domain
	}
	return n, nil
}

// IsStub reports whether id is a stub domain: one that only serves another guest.
func (m *Manager) IsStub(ctx context.Context, id abi.DomID) (bool, error) {
	_, ok, err := m.read(ctx, domainPath(id)+"/target")
	if err != nil {
		return false, fail(Store, id, "look whether it is a stub domain", err)
	}
	return ok, nil
}
