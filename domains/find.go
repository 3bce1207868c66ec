package domains

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// Find resolves what a user may call a domain, by xl's rules: digits alone are
// a domain id, with no check that it exists; anything else is a name, which must
// match exactly, and of several domains of that name the lowest id wins. UUIDs
// are not names. Unlike xl, an empty string is an error, not domain 0.
// The error's code is NoName.
func (m *Manager) Find(ctx context.Context, nameOrID string) (abi.DomID, error) {
	if !allDigits(nameOrID) {
		return m.ByName(ctx, nameOrID)
	}
	n, err := strconv.ParseUint(nameOrID, 10, 16)
	if err != nil {
		return abi.DomInvalid, nil // no domain can have it; whoever uses it will hear so
	}
	return abi.DomID(n), nil
}

func allDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

// namesAtOnce is how many names are asked for with one exchange when one is looked for:
// a daemon takes nearly as long for each name as for the exchange.
const namesAtOnce = 8

// ByName returns the domain with exactly this name, of several the one with the lowest
// id. The error's code is NoName.
func (m *Manager) ByName(ctx context.Context, name string) (abi.DomID, error) {
	op := "find domain " + strconv.Quote(name)
	list, err := m.unnamed()
	if err != nil {
		return 0, err
	}
	for some := range slices.Chunk(list, namesAtOnce) {
		if err := m.readNames(ctx, some); err != nil {
			return 0, err
		}
		for _, d := range some {
			if d.Named && d.Name == name {
				return d.ID, nil
			}
		}
	}
	return 0, &Error{Kind: NoName, Op: op, Err: errors.New("no domain has this name")}
}

// Name returns the name of domain id, or an error with code NoName when it has none.
func (m *Manager) Name(ctx context.Context, id abi.DomID) (string, error) {
	name, ok, err := m.read(ctx, domainPath(id)+"/name")
	if err != nil {
		return "", fail(Store, id, fmt.Sprintf("read the name of domain %d", id), err)
	}
	if !ok {
		return "", failf(NoName, id, fmt.Sprintf("read the name of domain %d", id), "it has none")
	}
	return name, nil
}

// List returns all domains in the order of their ids, domain 0 first.
func (m *Manager) List(ctx context.Context) ([]Domain, error) {
	list, err := m.unnamed()
	if err != nil {
		return nil, err
	}
	if err := m.readNames(ctx, list); err != nil {
		return nil, err
	}
	return list, nil
}

// unnamed is List without the names: it asks Xen only.
func (m *Manager) unnamed() ([]Domain, error) {
	infos, err := m.xen.Domains()
	if err != nil {
		return nil, fail(Hypervisor, 0, "list domains", err)
	}
	list := make([]Domain, len(infos))
	for i := range infos {
		list[i] = domainOf(&infos[i])
	}
	return list, nil
}

// Info describes domain id. The error's code is NoDomain when there is none.
func (m *Manager) Info(ctx context.Context, id abi.DomID) (Domain, error) {
	d, err := m.info(id)
	if err != nil {
		return Domain{}, err
	}
	one := []Domain{d}
	if err := m.readNames(ctx, one); err != nil {
		return Domain{}, err
	}
	return one[0], nil
}

// info is Info without the name: it asks Xen only.
func (m *Manager) info(id abi.DomID) (Domain, error) {
	info, err := m.xen.DomainInfo(id)
	if err != nil {
		return Domain{}, m.hyper(id, "look at the domain", err)
	}
	return domainOf(&info), nil
}

// readNames fills in the names with one exchange.
func (m *Manager) readNames(ctx context.Context, list []Domain) error {
	var b xenstore.Batch
	replies := make([]*xenstore.Reply, len(list))
	for i := range list {
		replies[i] = b.Read(domainPath(list[i].ID) + "/name")
	}
	err := m.store.Send(ctx, &b)
	for i, r := range replies {
		name, readErr := r.Value()
		if isNotFound(readErr) {
			continue
		}
		list[i].Name, list[i].Named = name, readErr == nil
		err = errors.Join(err, readErr)
	}
	if err != nil {
		return fail(Store, 0, "read the names of domains", err)
	}
	return nil
}

// TypeOf returns the kind of domain id: a guest in a hardware container of
// which the toolstack has no note counts as HVM, as for libxl.
func (m *Manager) TypeOf(ctx context.Context, id abi.DomID) (Type, error) {
	d, err := m.info(id)
	if err != nil {
		return 0, err
	}
	if !d.Hardware {
		return PV, nil
	}
	s, ok, err := m.read(ctx, libxlPath(id)+"/type")
	if err != nil {
		return 0, fail(Store, id, "read the domain's type", err)
	}
	if t, known := ParseType(s); ok && known {
		return t, nil
	}
	return HVM, nil
}

// PoolName returns the name of a cpupool; "" when it has none. The first pool is
// Pool-0 even where nobody noted that, as on hosts whose xen-init-dom0 is old.
func (m *Manager) PoolName(ctx context.Context, pool uint32) (string, error) {
	s, named, err := m.read(ctx, fmt.Sprintf("/local/pool/%d/name", pool))
	if err != nil {
		return "", fail(Store, 0, fmt.Sprintf("read the name of cpupool %d", pool), err)
	}
	if !named && pool == 0 {
		return "Pool-0", nil
	}
	return s, nil
}

// read returns the value of a node and whether there is one.
func (m *Manager) read(ctx context.Context, path string) (string, bool, error) {
	return readNode(ctx, m.store, path)
}

func readNode(ctx context.Context, s xenstore.Store, path string) (string, bool, error) {
	v, err := s.Read(ctx, path)
	if isNotFound(err) {
		return "", false, nil
	}
	return v, err == nil, err
}

func isNotFound(err error) bool { return errors.Is(err, xenstore.ErrNotFound) }
