package device

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"goxl/domains/undo"
	"goxl/xenstore"
	"goxl/xenstore/wire"
)

// State is a half's step in connecting. Source: public/io/xenbus.h.
type State int

// The states.
const (
	Unknown       State = 0
	Initialising  State = 1
	InitWait      State = 2
	Initialised   State = 3
	Connected     State = 4
	Closing       State = 5
	Closed        State = 6
	Reconfiguring State = 7
	Reconfigured  State = 8
)

// completeDisk fills in d and refuses what no backend could serve.
func (s *Set) completeDisk(dom DomID, d *Disk, o AddOptions) error {
	if d.Spec == SpecVirtio && o.Running {
		return fmt.Errorf("disk %s: a virtio disk cannot be added to a running guest", d.VDev)
	}
	if d.CDROM && o.Type == HVM {
		switch {
		case d.Backend == "":
			d.Backend = BackendQDisk
		case d.Backend != BackendQDisk && !(s.Layout.Tap && d.Backend == BackendPhy):
			return fmt.Errorf("disk %s: a CD drive of an HVM guest needs the backend qdisk, not %s", d.VDev, d.Backend)
		}
	}
	backend, err := d.ChooseBackend(s.Host.Stat, s.Layout.Tap)
	if err != nil {
		return err
	}
	d.Backend = backend
	if d.Format == FormatEmpty && backend == BackendPhy && d.BackendDom == s.Self {
		return s.emptyCD(dom, d)
	}
	return nil
}

// emptyCD gives a drive without a CD an empty file, since blkback needs one. It
// goes away when the guest is destroyed.
func (s *Set) emptyCD(dom DomID, d *Disk) error {
	path := filepath.Join(s.Host.Run, "empty-cdrom."+strconv.Itoa(int(dom)))
	f, err := s.Host.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o400)
	if err != nil {
		return fmt.Errorf("disk %s: %w", d.VDev, err)
	}
	d.Target = path
	return f.Close()
}

// add writes n and connects the device; on failure it is removed again.
func (s *Set) add(ctx context.Context, dev Device, n nodes, o AddOptions) (err error) {
	var u undo.Stack
	defer u.Rollback(ctx, &err)
	if err := s.write(ctx, dev, n, writeOptions{record: o.Record}); err != nil {
		return err
	}
	if o.Written != nil {
		o.Written()
	}
	u.Push("add "+dev.String(), func(ctx context.Context) error { return s.Remove(ctx, dev, Forced) })
	err = s.connect(ctx, dev, n.awaited)
	if err == nil && o.Running {
		err = s.stillThere(ctx, dev)
	}
	if err != nil {
		return fmt.Errorf("attach %s: %w", dev, err)
	}
	u.Commit()
	s.logFor(dev).Info("device attached")
	return nil
}

// stillThere fails when somebody removed dev, or its guest, while it was connected:
// he did not see what was made on the host since then.
func (s *Set) stillThere(ctx context.Context, dev Device) error {
	there, err := s.Store.Exists(ctx, dev.LibxlPath())
	if err == nil && !there {
		return fmt.Errorf("it was removed meanwhile: %w", ErrNotFound)
	}
	return err
}

type writeOptions struct {
	replace bool                        // the device may exist
	record  func(context.Context) error // see AddOptions.Record
}

// write writes all of a device's nodes in one transaction. Nodes are first
// touched in libxl's order, since in that order their watchers hear of them.
func (s *Set) write(ctx context.Context, dev Device, n nodes, o writeOptions) error {
	err := s.Store.Update(ctx, func(tx *xenstore.Tx) error {
		guest, err := tx.Exists(ctx, fmt.Sprintf("/libxl/%d", dev.Dom))
		if err == nil && !guest {
			return ErrNoGuest // destroyed meanwhile: nodes would stay for ever
		}
		if err != nil {
			return err
		}
		there, err := tx.Exists(ctx, dev.LibxlPath())
		if err != nil {
			return err
		}
		if there && !o.replace {
			return ErrExists
		}
		if o.record != nil {
			if err := o.record(ctx); err != nil {
				return err
			}
		}
		for _, dir := range []struct {
			path string
			fill func(*xenstore.Batch)
		}{
			{dev.LibxlPath(), dev.links},
			{dev.FrontendPath(), func(b *xenstore.Batch) { n.frontend(b, dev) }},
			{dev.BackendPath(), func(b *xenstore.Batch) { n.backend(b, dev) }},
		} {
			if err := ignoreMissing(tx.Rm(ctx, dir.path)); err != nil {
				return err
			}
			var b xenstore.Batch
			dir.fill(&b)
			if err := tx.Send(ctx, &b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("add %s: %w", dev, err)
	}
	return nil
}

// links writes where both halves are into the toolstack's record.
func (d Device) links(b *xenstore.Batch) {
	b.Write(d.LibxlPath()+"/frontend", d.FrontendPath())
	b.Write(d.LibxlPath()+"/backend", d.BackendPath())
}

// guestOwned and backOwned are the permissions of nodes that one half owns and
// the other may read.
func (d Device) guestOwned() []wire.Perm {
	return []wire.Perm{{Access: wire.None, Dom: d.Dom}, {Access: wire.Read, Dom: d.Backend}}
}

func (d Device) backOwned() []wire.Perm {
	return []wire.Perm{{Access: wire.None, Dom: d.Backend}, {Access: wire.Read, Dom: d.Dom}}
}

func (n nodes) frontend(b *xenstore.Batch, dev Device) {
	front := dev.FrontendPath()
	b.Mkdir(front)
	if dev.Kind == ConsoleDev && dev.ID == 0 || dev.Kind == VUART {
		b.SetPerms(front, dev.backOwned()) // also holds what the guest must not change
	} else {
		b.SetPerms(front, dev.guestOwned())
	}
	b.Write(front+"/backend", dev.BackendPath())
	for _, p := range n.front {
		b.Write(front+"/"+p.key, p.value)
		b.SetPerms(front+"/"+p.key, dev.guestOwned())
	}
	for _, p := range n.roFront {
		b.Write(front+"/"+p.key, p.value)
		b.SetPerms(front+"/"+p.key, dev.backOwned())
	}
}

// backend writes the backend's keys and their copy for the toolstack.
func (n nodes) backend(b *xenstore.Batch, dev Device) {
	back := dev.BackendPath()
	b.Mkdir(back)
	b.SetPerms(back, dev.backOwned())
	b.Write(back+"/frontend", dev.FrontendPath())
	for _, p := range n.back {
		b.Write(back+"/"+p.key, p.value)
	}
	for _, p := range n.back {
		b.Write(dev.LibxlPath()+"/"+p.key, p.value)
	}
}

// connect waits for the backend to take note of dev, then makes the host's side.
func (s *Set) connect(ctx context.Context, dev Device, awaited bool) error {
	if awaited || !dev.inQEMU() {
		if err := s.awaitReady(ctx, dev); err != nil {
			return err
		}
	}
	if dev.Backend != s.Self {
		return nil // its own toolstack daemon does the rest
	}
	_, err := s.plug(ctx, dev)
	return err
}

// awaitReady waits until the backend is in state InitWait, or past it.
func (s *Set) awaitReady(ctx context.Context, dev Device) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.Timeouts.Attach, ErrTimeout)
	defer cancel()
	path := dev.BackendPath() + "/state"
	last, gone := Unknown, false
	_, err := s.Store.Await(ctx, path, func(v string, exists bool) bool {
		last, gone = ParseState(v), !exists
		return gone || last >= InitWait
	})
	switch {
	case err != nil && errors.Is(err, ErrTimeout):
		return fmt.Errorf("%w: backend still in state %d after %v, awaited 2; is a backend for %s running in domain %d?%s",
			ErrTimeout, last, s.Timeouts.Attach, dev.BackendKind, dev.Backend, s.backendError(dev))
	case err != nil:
		return err
	case gone:
		return fmt.Errorf("backend %s disappeared while it was awaited", dev.BackendPath())
	case last == Closing || last == Closed:
		return fmt.Errorf("backend went to state %d (closed) instead of 2%s", last, s.backendError(dev))
	}
	return nil
}

// backendError returns what a kernel's or our own backend wrote about its failure,
// for the end of a message.
func (s *Set) backendError(dev Device) string {
	ctx, cancel := context.WithTimeout(context.Background(), s.Timeouts.QEMU)
	defer cancel()
	text, err := s.Store.Read(ctx, fmt.Sprintf("/local/domain/%d/error/backend/%s/%d/%d/error",
		dev.Backend, dev.BackendKind, dev.Dom, dev.ID))
	if err != nil || text == "" {
		if text, err = s.Store.Read(ctx, dev.BackendPath()+"/hotplug-error"); err != nil || text == "" {
			return ""
		}
	}
	return fmt.Sprintf(": %.200q", text)
}

// ParseState reads a state node; what is no state counts as Unknown.
func ParseState(v string) State {
	n, err := strconv.ParseUint(v, 10, 8)
	if err != nil || n > uint64(Reconfigured) {
		return Unknown
	}
	return State(n)
}
