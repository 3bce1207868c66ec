package domains

import (
	"context"
	"fmt"

	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// Preserve keeps domain id, which has ended, under another name, so that its
// guest can be built again beside it. In xenstore it gets a new uuid with it; the
// one that Xen knows stays (libxl_domain_preserve). A domain that has the name
// already was preserved before, and is left as it is.
func (m *Manager) Preserve(ctx context.Context, id abi.DomID, name string) error {
	op := fmt.Sprintf("preserve domain %d as %q", id, name)
	d, err := m.Info(ctx, id)
	if err != nil {
		return err
	}
	if d.Named && d.Name == name {
		return nil
	}
	if err := m.checkName(ctx, op, id, name); err != nil {
		return err
	}
	uuid := newUUID()
	err = m.store.Update(ctx, func(tx *xenstore.Tx) error {
		if err := removeAll(ctx, tx, vmPath(uuid)); err != nil {
			return err
		}
		var b nodeBatch
		b.Mkdir(vmPath(uuid))
		b.SetPerms(vmPath(uuid), readOnly(id))
		b.Write(domainPath(id)+"/vm", vmPath(uuid))
		b.Write(domainPath(id)+"/name", name)
		b.Write(vmPath(d.UUID)+"/name", name)
		b.Write(vmPath(uuid)+"/uuid", uuid.String())
		return tx.Send(ctx, &b.Batch)
	})
	if err != nil {
		return fail(Store, id, op, err)
	}
	return nil
}
