package domains

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"goxl/domains/config"
	"goxl/domains/policy"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// targetFudge is the difference between the memory that is configured and the
// target that xenstore shows (libxl__get_targetmem_fudge).
func targetFudge(b *config.BuildInfo) abi.KiB {
	fudge := b.VideoMem.Value()
	if b.Type == config.TypeHVM && b.MaxMem.Value() > b.TargetMem.Value() {
		fudge += policy.MaxMemSlack // what hvmloader takes
	}
	return fudge
}

// memoryTarget reads a domain's balloon target and its static maximum. Domain 0
// gets both when it has none.
func (m *Manager) memoryTarget(ctx context.Context, id abi.DomID) (target, maximum abi.KiB, err error) {
	if id == 0 {
		return m.dom0Memory(ctx)
	}
	if target, err = readKiB(ctx, m.store, domainPath(id)+"/memory/target"); err == nil {
		maximum, err = readKiB(ctx, m.store, domainPath(id)+"/memory/static-max")
	}
	if err != nil {
		return 0, 0, fail(Store, id, fmt.Sprintf("read the memory target of domain %d", id), err)
	}
	return target, maximum, nil
}

// dom0Memory reads domain 0's target and maximum, and writes what is missing
// from what Xen says (libxl__fill_dom0_memory_info).
func (m *Manager) dom0Memory(ctx context.Context) (target, maximum abi.KiB, err error) {
	d, err := m.info(0)
	if err != nil {
		return 0, 0, err
	}
	err = m.store.Update(ctx, func(tx *xenstore.Tx) error {
		for _, n := range []struct {
			path string
			def  abi.KiB
			to   *abi.KiB
		}{{"/local/domain/0/memory/target", d.Current, &target}, {"/local/domain/0/memory/static-max", d.Max, &maximum}} {
			v, err := readKiB(ctx, tx, n.path)
			if isNotFound(err) {
				v, err = n.def, tx.Write(ctx, n.path, strconv.FormatUint(uint64(n.def), 10))
			}
			if err != nil {
				return err
			}
			*n.to = v
		}
		return nil
	})
	if err != nil {
		return 0, 0, fail(Store, 0, "read the memory target of domain 0", err)
	}
	return target, maximum, nil
}

func readKiB(ctx context.Context, s xenstore.Store, path string) (abi.KiB, error) {
	v, err := s.Read(ctx, path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(v, 10, 52)
	if err != nil {
		return 0, fmt.Errorf("%s: %q is no size in KiB", path, v)
	}
	return abi.KiB(n), nil
}

// SetMem sets how much memory guest id shall use: its balloon driver follows,
// which takes its time. Xen's limit follows at once. The error's code is
// OutOfRange when it is more than the static maximum.
func (m *Manager) SetMem(ctx context.Context, id abi.DomID, size abi.KiB) error {
	return m.setTarget(ctx, id, func(current, video abi.KiB) abi.KiB { return size - min(size, video) }, true)
}

// setTarget is libxl_set_memory_target: choose gets the present target and the
// video memory and returns the new target.
func (m *Manager) setTarget(ctx context.Context, id abi.DomID, choose func(current, video abi.KiB) abi.KiB, enforce bool) error {
	op := fmt.Sprintf("set the memory of domain %d", id)
	u, err := m.userdataOf(id)
	if err != nil {
		return err
	}
	l, err := u.lock(ctx, dataLock)
	if err != nil {
		return err
	}
	defer l.Unlock()
	spec, err := u.config()
	if err != nil {
		return err
	}
	if id == 0 { // it may lack the nodes
		if _, _, err := m.dom0Memory(ctx); err != nil {
			return err
		}
	}
	dir := domainPath(id) + "/memory/"
	var refused *Error
	err = m.store.Update(ctx, func(tx *xenstore.Tx) error {
		current, err := readKiB(ctx, tx, dir+"target")
		if err != nil {
			return err
		}
		maximum, err := readKiB(ctx, tx, dir+"static-max")
		if err != nil {
			return err
		}
		video, err := readKiB(ctx, tx, dir+"videoram")
		if err != nil && !isNotFound(err) {
			return err
		}
		target := choose(current, video)
		if refused = checkTarget(id, op, target, maximum); refused != nil {
			return refused
		}
		if err := m.enforceTarget(id, spec, target, video, enforce); err != nil {
			return err
		}
		if err := tx.Write(ctx, dir+"target", strconv.FormatUint(uint64(target), 10)); err != nil {
			return err
		}
		return tx.Write(ctx, vmPath(u.uuid)+"/memory", strconv.FormatUint(uint64(target/1024), 10))
	})
	switch {
	case err == nil:
		return nil
	case refused != nil:
		return refused
	}
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return fail(Store, id, op, err)
}

// checkTarget holds a target to the static maximum and, for domain 0, to
// LIBXL_MIN_DOM0_MEM. The genuine tool knows no minimum of guests, as nobody but
// their kernels does: a balloon driver stops by itself.
func checkTarget(id abi.DomID, op string, target, maximum abi.KiB) *Error {
	if target > maximum {
		return &Error{Kind: OutOfRange, Op: op, Dom: id,
			Err:  fmt.Errorf("%d KiB is more than its static maximum of %d KiB", target, maximum),
			Hint: "maxmem= in its configuration, or xl mem-max, sets that"}
	}
	if id == 0 && target < policy.MinDom0 {
		return failf(OutOfRange, id, op, "%d KiB is less than the %d KiB that domain 0 must keep", target, policy.MinDom0)
	}
	return nil
}

// enforceTarget tells Xen of a new target.
func (m *Manager) enforceTarget(id abi.DomID, spec *config.Spec, target, video abi.KiB, enforce bool) error {
	if enforce {
		if err := m.xen.SetMaxMem(id, target+video+policy.MaxMemSlack); err != nil {
			return m.hyper(id, "set Xen's memory limit", err)
		}
	}
	if id == 0 || spec.CInfo.Type == config.TypePV {
		return nil
	}
	_, err := m.xen.SetPODTarget(id, (target + policy.MaxMemSlack).Pages())
	return m.hyper(id, "set the populate-on-demand target", err)
}

// SetMaxMem sets the static maximum of guest id: what SetMem may go up to. The
// error's code is OutOfRange when the present target is higher.
func (m *Manager) SetMaxMem(ctx context.Context, id abi.DomID, size abi.KiB) error {
	op := fmt.Sprintf("set the maximum memory of domain %d", id)
	u, err := m.userdataOf(id)
	if err != nil {
		return err
	}
	l, err := u.lock(ctx, dataLock)
	if err != nil {
		return err
	}
	defer l.Unlock()
	target, err := readKiB(ctx, m.store, domainPath(id)+"/memory/target")
	if err != nil {
		return fail(Store, id, op, err)
	}
	if size < target {
		return &Error{Kind: OutOfRange, Op: op, Dom: id,
			Err:  fmt.Errorf("%d KiB is less than its target of %d KiB", size, target),
			Hint: "lower that first, with xl mem-set"}
	}
	if _, err := u.config(); err != nil {
		return err
	}
	if err := m.xen.SetMaxMem(id, size+policy.MaxMemSlack); err != nil {
		return m.hyper(id, op, err)
	}
	if err := m.store.Write(ctx, domainPath(id)+"/memory/static-max", strconv.FormatUint(uint64(size), 10)); err != nil {
		return fail(Store, id, op, err)
	}
	return nil
}
