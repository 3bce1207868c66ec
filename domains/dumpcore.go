package domains

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"goxl/domains/coredump"
	"goxl/domains/logs"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// DumpCore writes the memory and registers of guest id to path, as the genuine
// tool does. The guest is not paused for it. A regular file is there whole
// afterwards or not at all: before anything is written we look whether there is
// room, and what a failure leaves is removed. (The genuine tool leaves the part
// that fitted.) It blocks as long as the writing takes; ctx ends it.
//
// The error's code is NoDomain, Unsupported for a 32-bit PV guest, NoFile when the
// file cannot be made, and otherwise Failed.
func (m *Manager) DumpCore(ctx context.Context, id abi.DomID, path string) error {
	op := fmt.Sprintf("dump core of domain %d to %s", id, path)
	if id == 0 {
		return failf(Failed, id, op, "nobody can look at the registers of the domain that we run in")
	}
	d, err := coredump.Open(m.xen, id)
	switch {
	case err == nil:
	case errors.Is(err, xenctrl.ErrNoDomain):
		return fail(NoDomain, id, op, errors.New("no such domain"))
	case errors.Is(err, errors.ErrUnsupported):
		return fail(Unsupported, id, op, err)
	case errors.Is(err, coredump.ErrNoP2M):
		return &Error{Kind: Failed, Op: op, Dom: id, Err: err, Hint: "let it boot first"}
	default:
		return fail(Failed, id, op, err)
	}
	f, err := m.host.CreateBig(path, d.Size())
	if err != nil {
		return dumpFailed(id, op, NoFile, err)
	}
	r, err := d.Write(ctx, f)
	if err != nil {
		err = errors.Join(err, f.Abort())
		if ctx.Err() != nil {
			return fail(Interrupted, id, op, err)
		}
		return dumpFailed(id, op, Failed, err)
	}
	if err := f.Commit(); err != nil {
		return dumpFailed(id, op, Failed, err)
	}
	m.logger.Debug("core dumped", logs.Uint16("dom", uint16(id)), logs.Uint64("missing", r.Missing), logs.Uint64("extra", r.Extra))
	return nil
}

// dumpFailed says what to do about a full disk.
func dumpFailed(id abi.DomID, op string, kind Code, err error) *Error {
	e := fail(kind, id, op, err)
	if errors.Is(err, syscall.ENOSPC) {
		e.Kind, e.Hint = Failed, "nothing was left there; free some space, or dump to another place with xl dump-core"
	}
	return e
}
