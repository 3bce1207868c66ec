package domains

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"go.uber.org/zap"

	"goxl/xenctrl/abi"
)

// Destroy ends domain id at once and takes away everything that any toolstack
// made for it, in libxl's order: device model, devices, xenstore nodes, files,
// the domain itself. A stub domain goes with its guest. It goes on after a
// failure: what can be freed is freed. The error's code is NoDomain when there is
// no such domain, Protected for domain 0, and Leftovers when the domain is gone
// but something of it could not be removed, which xl only reports.
func (m *Manager) Destroy(ctx context.Context, id abi.DomID) error {
	op := fmt.Sprintf("destroy domain %d", id)
	if id == 0 {
		return &Error{Kind: Protected, Op: op, Err: errors.New("this is the domain that we run in")}
	}
	d, err := m.info(id)
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
	m.logger.Info("domain destroyed", zap.Uint16("dom", uint16(id)), zap.Stringer("uuid", d.UUID))
	if err := errors.Join(append(left, rest)...); err != nil {
		return fail(Leftovers, id, op, err)
	}
	return nil
}

// destroyOne takes down one domain with all that belongs to it. The first error
// tells of what else could not be removed, the second that the domain still
// exists.
func (m *Manager) destroyOne(ctx context.Context, d Domain) (left, err error) {
	var errs []error
	keep := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	keep(m.hyper(d.ID, "pause", m.xen.Pause(d.ID)))
	keep(m.models.Stop(ctx, d.ID))
	keep(m.devices.RemoveAll(ctx, d.ID))
	keep(m.removeFile(filepath.Join(m.host.Run, fmt.Sprintf("empty-cdrom.%d", d.ID))))
	keep(m.removeNodes(ctx, d.ID))
	u := &userdata{m, d.ID, d.UUID}
	if l, err := u.lock(ctx, dataLock); err != nil {
		keep(err)
	} else {
		keep(u.removeAll())
		keep(l.Unlock())
	}
	for _, name := range []string{"qemu-save", "qemu-resume"} {
		keep(m.removeFile(filepath.Join(m.host.Lib, fmt.Sprintf("%s.%d", name, d.ID))))
	}
	keep(m.host.MarkRecent(ctx, d.ID, m.reuse))
	err = m.xen.DestroyDomain(ctx, d.ID)
	return errors.Join(errs...), err
}

// removeNodes takes the domain out of xenstore.
func (m *Manager) removeNodes(ctx context.Context, id abi.DomID) error {
	dom := domainPath(id)
	vm, ok, err := m.read(ctx, dom+"/vm")
	paths := []string{dom, libxlPath(id), dom + "/hvmloader"}
	if err == nil && ok && filepath.Dir(vm) == "/vm" {
		paths = append([]string{vm}, paths...)
	}
	errs := []error{err}
	for _, p := range paths {
		if err := m.store.Rm(ctx, p); err != nil && !isNotFound(err) {
			errs = append(errs, fail(Store, id, "remove "+p, err))
		}
	}
	return errors.Join(errs...)
}

func (m *Manager) removeFile(path string) error {
	if err := m.host.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
