package domains

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"goxl/domains/host"
	"goxl/xenctrl/abi"
)

// survey says what there is of an unfinished creation, in words.
func (m *Manager) survey(ctx context.Context, r *remains) ([]string, error) {
	var found []string
	if r.domain != nil {
		found = append(found, fmt.Sprintf("domain %d, half built, with %d MiB", r.id, r.domain.Current/1024))
	}
	if r.id == 0 || r.bare {
		return found, nil
	}
	var nodes []string
	if !r.reused {
		procs, err := m.host.ProcessesOf(r.id)
		if err != nil {
			return found, fail(Failed, r.id, "look for processes of the guest", err)
		}
		for _, p := range procs {
			found = append(found, fmt.Sprintf("process %d, its %s", p.PID, p.What))
		}
		devs, err := m.devices.List(ctx, r.id)
		if err != nil {
			return found, deviceError("list devices", r.id, err)
		}
		for _, d := range devs {
			found = append(found, d.String())
		}
		nodes = []string{domainPath(r.id), libxlPath(r.id)}
	}
	for _, path := range append(nodes, vmPath(r.uuid)) {
		there, err := m.store.Exists(ctx, path)
		if err != nil {
			return found, fail(Store, r.id, "look for "+path, err)
		}
		if there {
			found = append(found, path+" in xenstore")
		}
	}
	files, err := m.filesOf(r)
	return append(found, files...), err
}

// filesOf returns the files that a creation may leave behind.
func (m *Manager) filesOf(r *remains) ([]string, error) {
	u := &userdata{m, r.id, r.uuid}
	patterns := []string{u.path("?", "*")}
	if !r.reused {
		patterns = append(patterns, filepath.Join(m.host.Run, fmt.Sprintf("empty-cdrom.%d", r.id)), m.bootFile(r.id, "d"), m.bootFile(r.id, "out"))
	}
	var files []string
	for _, p := range patterns {
		names, err := m.host.Glob(p)
		if err != nil {
			return files, fail(Failed, r.id, "look for files of the guest", err)
		}
		files = append(files, names...)
	}
	return files, nil
}

// bootFile is the file or directory in which a boot loader works.
func (m *Manager) bootFile(id abi.DomID, suffix string) string {
	return filepath.Join(m.host.Lib, fmt.Sprintf("bootloader.%d.%s", id, suffix))
}

// removeRemains removes what is left of a creation. The domain goes last, since it
// proves that all else under its id is ours. Its id rests from the beginning, so
// that nobody who is given it meets us at work.
func (m *Manager) removeRemains(ctx context.Context, r *remains) error {
	u := &userdata{m, r.id, r.uuid}
	if r.reused {
		return errors.Join(u.discard(ctx), m.removeVM(ctx, r.id, vmPath(r.uuid)))
	}
	err := m.host.MarkRecent(ctx, r.id, m.reuse)
	if _, e := m.info(r.id); r.domain == nil && !errors.Is(e, NoDomain) {
		return failf(DomIDTaken, r.id, "remove what is left of the guest", "domain %d was just made by somebody else", r.id)
	}
	if !r.bare {
		err = errors.Join(err, m.endProcesses(ctx, r.id), m.sweepHotplugLock(),
			m.host.RemoveAll(m.bootFile(r.id, "d")), m.removeFile(m.bootFile(r.id, "out")),
			m.removeTraces(ctx, r.id, r.uuid), m.removeVM(ctx, r.id, vmPath(r.uuid)))
	}
	if err != nil || r.domain == nil {
		return err
	}
	return m.hyper(r.id, "destroy", m.endDomain(ctx, r.id))
}

// processPatience is how long processes of a guest get to end: a hotplug script
// ends by itself.
const processPatience = host.ScriptTimeout

// endProcesses ends what still works for a guest whose creator is gone. Scripts are
// let run, since what they do half nobody could undo; the others are asked to end.
// Who takes too long is killed.
func (m *Manager) endProcesses(ctx context.Context, id abi.DomID) error {
	ctx, cancel := context.WithTimeout(ctx, processPatience)
	defer cancel()
	asked := map[int]bool{}
	for {
		procs, err := m.host.ProcessesOf(id)
		if err != nil || len(procs) == 0 {
			return err
		}
		for _, p := range procs {
			switch {
			case ctx.Err() != nil:
				err = errors.Join(err, m.host.Kill(p.PID, host.KillSignal))
			case !asked[p.PID] && p.What != host.HotplugScript:
				asked[p.PID] = true
				err = errors.Join(err, m.host.Kill(p.PID, host.HangUpSignal))
			}
		}
		if err != nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// sweepHotplugLock removes the hotplug scripts' lock if nobody holds it: its holder
// was killed.
func (m *Manager) sweepHotplugLock() error {
	l, err := m.host.TryLock(filepath.Join(m.host.Hotplug, "block"))
	if errors.Is(err, host.ErrHeld) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = l.Unlock()
	}
	return err
}
