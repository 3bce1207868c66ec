package domains

import (
	"context"
	"errors"
	"fmt"

	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// Only xenstore knows names, and any tool may change them: nothing but a look at each
// of them will do, all in one exchange. A creation looks twice: before it makes
// anything, and in the transaction that writes the name.

// checkName fails with NameTaken when a domain other than self has the name.
func (m *Manager) checkName(ctx context.Context, op string, self abi.DomID, name string) error {
	if name == "" {
		return nil
	}
	list, err := m.List(ctx)
	if err != nil {
		return err
	}
	for _, d := range list {
		if d.Named && d.Name == name && d.ID != self {
			return nameTaken(op, self, d.ID)
		}
	}
	return nil
}

func nameTaken(op string, self, owner abi.DomID) error {
	return &Error{Kind: NameTaken, Op: op, Dom: self,
		Err:  fmt.Errorf("domain %d has that name already", owner),
		Hint: fmt.Sprintf("choose another name, or look at it with: xl list %d", owner)}
}

// checkNameIn is checkName in the transaction that writes the name: of two that want
// the same name at a time only one will have it. (libxl looks outside of it, so that
// both may.) Nodes of domains that are gone do not count.
func (m *Manager) checkNameIn(ctx context.Context, tx *xenstore.Tx, op string, self abi.DomID, name string) error {
	if name == "" {
		return nil
	}
	doms, err := tx.List(ctx, "/local/domain")
	if isNotFound(err) {
		return nil // the first of all
	}
	if err != nil {
		return err
	}
	var b xenstore.Batch
	names := make([]*xenstore.Reply, len(doms))
	for i, d := range doms {
		names[i] = b.Read("/local/domain/" + d + "/name")
	}
	if err := tx.Send(ctx, &b); err != nil {
		return err
	}
	for i, d := range doms {
		theirs, err := names[i].Value()
		if err != nil && !isNotFound(err) {
			return err
		}
		id, notID := parseDomID(d)
		if err != nil || theirs != name || notID != nil || id == self {
			continue
		}
		if _, err := m.info(id); !errors.Is(err, NoDomain) {
			return errors.Join(err, nameTaken(op, self, id))
		}
	}
	return nil
}
