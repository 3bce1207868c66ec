package domains

import (
	"context"
	"errors"
	"fmt"

	"goxl/domains/device"
	"goxl/xenctrl/abi"
)

// RemoveStrays removes devices that are still served for a domain that is gone, or on
// its way, and returns them. Who destroys a guest looks for its devices; one that was
// added after he looked, by the guest's creation, would stay. A domain that lives, or
// another one of that id, keeps what it has.
func (m *Manager) RemoveStrays(ctx context.Context, id abi.DomID, uuid abi.UUID) ([]device.Device, error) {
	d, err := m.info(id)
	switch {
	case err == nil && (!d.Dying || d.UUID != uuid):
		return nil, nil
	case err != nil && !errors.Is(err, NoDomain):
		return nil, err
	}
	strays, err := m.devices.Strays(ctx, id)
	if err != nil {
		return nil, deviceError(fmt.Sprintf("look for devices of domain %d", id), id, err)
	}
	var errs []error
	for _, dev := range strays {
		errs = append(errs, m.devices.Remove(ctx, dev, device.Forced))
	}
	if err := errors.Join(errs...); err != nil {
		return strays, leftovers(fmt.Sprintf("remove devices of domain %d", id), id, err)
	}
	return strays, nil
}
