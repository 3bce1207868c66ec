package domains

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"goxl/domains/logs"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// Destroy ends domain id at once and takes away everything that any toolstack
// made for it, in libxl's order: device model, devices, xenstore nodes, files,
// the domain itself. A stub domain goes with its guest. It goes on after a
// failure: what can be freed is freed. The error's code is NoDomain when there is
// no such domain, Protected for domain 0, and Leftovers when the domain is gone
// but something of it could not be removed, which xl only reports. Then the same
// again removes that: what is found through xenstore stays there until it is gone.
func (m *Manager) Destroy(ctx context.Context, id abi.DomID) error {
	op := fmt.Sprintf("destroy domain %d", id)
	if id == 0 {
		return &Error{Kind: Protected, Op: op, Err: errors.New("this is the domain that we run in")}
	}
	d, err := m.info(id)
	if errors.Is(err, NoDomain) {
		return m.destroyTraces(ctx, op, id, err)
	}
	if err != nil {
		return err
	}
	stub, err := m.stubDomain(ctx, id)
	if err != nil {
		return err
	}
	var left []error
	if stub != 0 && stub != id {
		if s, err := m.info(stub); err == nil {
			rest, err := m.destroyOne(ctx, s)
			left = append(left, rest, err)
		}
	}
	rest, err := m.destroyOne(ctx, d)
	if err != nil {
		return fail(Hypervisor, id, op, errors.Join(err, rest, errors.Join(left...)))
	}
	m.logger.Info("domain destroyed", logs.Uint16("dom", uint16(id)), logs.Stringer("uuid", d.UUID))
	if err := errors.Join(append(left, rest)...); err != nil {
		return leftovers(op, id, err)
	}
	return nil
}

func leftovers(op string, id abi.DomID, err error) error {
	return &Error{Kind: Leftovers, Op: op, Dom: id, Err: err, Hint: fmt.Sprintf("what is left goes with another: xl destroy %d", id)}
}

// destroyTraces removes what is left of a domain that is gone. Without any it
// returns none.
func (m *Manager) destroyTraces(ctx context.Context, op string, id abi.DomID, none error) error {
	uuids, err := m.tracesOf(ctx, id)
	if err != nil {
		return fail(Failed, id, op, err)
	}
	if len(uuids) == 0 {
		return none
	}
	errs := []error{m.host.MarkRecent(ctx, id, m.reuse)}
	for _, u := range uuids {
		errs = append(errs, m.removeTraces(ctx, id, u))
	}
	if err := errors.Join(errs...); err != nil {
		return leftovers(op, id, err)
	}
	return nil
}

// tracesOf returns the uuids under which something is left of a domain that is
// gone: the zero one where only its nodes are.
func (m *Manager) tracesOf(ctx context.Context, id abi.DomID) ([]abi.UUID, error) {
	files, err := m.host.Glob(filepath.Join(m.host.Lib, fmt.Sprintf("userdata-?.%d.*", id)))
	if err != nil {
		return nil, err
	}
	var uuids []abi.UUID
	for _, f := range files {
		part := strings.SplitN(filepath.Base(f), ".", 4)
		if u, ok := abi.ParseUUID(part[2]); ok && len(part) == 4 && !slices.Contains(uuids, u) {
			uuids = append(uuids, u)
		}
	}
	for _, path := range []string{domainPath(id), libxlPath(id)} {
		there, err := m.store.Exists(ctx, path)
		if err != nil {
			return nil, err
		}
		if there && len(uuids) == 0 {
			uuids = append(uuids, abi.UUID{})
		}
	}
	return uuids, nil
}

// destroyOne takes down one domain with all that belongs to it. The first error
// tells of what else could not be removed, the second that the domain still
// exists.
func (m *Manager) destroyOne(ctx context.Context, d Domain) (left, err error) {
	left = m.hyper(d.ID, "pause", m.xen.Pause(d.ID))
	left = errors.Join(left, m.removeTraces(ctx, d.ID, d.UUID), m.host.MarkRecent(ctx, d.ID, m.reuse))
	return left, m.endDomain(ctx, d.ID)
}

// endDomain has Xen destroy a domain. That another was faster is no error.
func (m *Manager) endDomain(ctx context.Context, id abi.DomID) error {
	if err := m.xen.DestroyDomain(ctx, id); !errors.Is(err, xenctrl.ErrNoDomain) {
		return err
	}
	return nil
}

// removeTraces takes away all that belongs to a domain but the domain itself, which
// may be gone.
func (m *Manager) removeTraces(ctx context.Context, id abi.DomID, uuid abi.UUID) error {
	u := &userdata{m, id, uuid}
	err := errors.Join(m.models.Stop(ctx, id), m.devices.RemoveAll(ctx, id))
	if err == nil { // else they tell the next attempt what is left
		err = m.removeNodes(ctx, id)
	}
	errs := []error{err, m.removeFile(filepath.Join(m.host.Run, fmt.Sprintf("empty-cdrom.%d", id)))}
	if err == nil && !uuid.IsZero() {
		errs = append(errs, u.discard(ctx))
	}
	for _, name := range []string{"qemu-save", "qemu-resume"} {
		errs = append(errs, m.removeFile(filepath.Join(m.host.Lib, fmt.Sprintf("%s.%d", name, id))))
	}
	return errors.Join(errs...)
}

// removeNodes takes the domain out of xenstore.
func (m *Manager) removeNodes(ctx context.Context, id abi.DomID) error {
	dom := domainPath(id)
	vm, ok, err := m.read(ctx, dom+"/vm")
	errs := []error{err}
	if err == nil && ok && filepath.Dir(vm) == "/vm" {
		errs = append(errs, m.removeVM(ctx, id, vm))
	}
	if err := errors.Join(errs...); err != nil {
		return err // the node leads the next attempt to it
	}
	return errors.Join(m.removeNode(ctx, id, dom), m.removeRecord(ctx, id), m.removeNode(ctx, id, dom+"/hvmloader"))
}

// removeRecord removes the toolstack's record of a guest, by which its devices are
// found. A device that somebody attached while the others were removed goes first;
// once the record is gone nobody of ours attaches any.
func (m *Manager) removeRecord(ctx context.Context, id abi.DomID) error {
	odd := false // there are records of devices that make no sense
	for {
		late := false
		err := m.store.Update(ctx, func(tx *xenstore.Tx) error {
			kinds, err := tx.List(ctx, libxlPath(id)+"/device")
			if late = err == nil && len(kinds) > 0 && !odd; late {
				return nil
			}
			if err == nil || isNotFound(err) {
				err = tx.Rm(ctx, libxlPath(id))
			}
			if isNotFound(err) {
				return nil
			}
			return err
		})
		if err != nil {
			return fail(Store, id, "remove "+libxlPath(id), err)
		}
		if !late {
			return nil
		}
		devs, err := m.devices.List(ctx, id)
		if err == nil {
			err = m.devices.RemoveAll(ctx, id)
		}
		if err != nil {
			return deviceError("remove devices", id, err)
		}
		odd = len(devs) == 0
	}
}

func (m *Manager) removeNode(ctx context.Context, id abi.DomID, path string) error {
	if err := m.store.Rm(ctx, path); err != nil && !isNotFound(err) {
		return fail(Store, id, "remove "+path, err)
	}
	return nil
}

// removeVM removes the directory of a guest, unless another domain refers to it: a
// copy of the guest, which has the same uuid. Xen knows uuids, so that the others
// need not be asked.
func (m *Manager) removeVM(ctx context.Context, id abi.DomID, path string) error {
	infos, err := m.xen.Domains()
	if err != nil {
		return m.hyper(id, "look for copies of the guest", err)
	}
	uuid, isUUID := abi.ParseUUID(filepath.Base(path))
	for i := range infos {
		d := domainOf(&infos[i])
		if d.ID == id || isUUID && d.UUID != uuid { // what another tool chose names nobody
			continue
		}
		vm, _, err := m.read(ctx, domainPath(d.ID)+"/vm")
		if err != nil {
			return fail(Store, id, "remove "+path, err)
		}
		if vm == path {
			return nil
		}
	}
	return m.removeNode(ctx, id, path)
}

func (m *Manager) removeFile(path string) error {
	if err := m.host.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
