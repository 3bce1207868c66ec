package dm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"goxl/domains/logs"
	"goxl/xenstore"
)

// Stop ends the device model of guest dom, by whichever toolstack it was
// started, and removes its nodes and sockets. It does not wait for the process
// to be gone. A guest without one is no error. The record of the process goes
// with the guest's other nodes.
func (m *Models) Stop(ctx context.Context, dom DomID) error {
	err := m.Store.Rm(ctx, statePath(dom, ""))
	if errors.Is(err, xenstore.ErrNotFound) {
		err = nil
	}
	if kerr := m.kill(ctx, dom); kerr != nil {
		err = errors.Join(err, fmt.Errorf("stop device model of domain %d: %w", dom, kerr))
	}
	for _, path := range []string{qmpPath(m.Host.Run, dom), statPath(m.Host.Run, dom)} {
		if rerr := m.Host.Remove(path); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}
	return err
}

func (m *Models) kill(ctx context.Context, dom DomID) error {
	uid, err := m.Store.Read(ctx, fmt.Sprintf("/local/domain/%d/image/device-model-kill-uid", dom))
	if err == nil {
		return m.killUser(uid)
	}
	if !errors.Is(err, xenstore.ErrNotFound) {
		return err
	}
	v, err := m.Store.Read(ctx, pidPath(dom))
	if errors.Is(err, xenstore.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	pid, err := strconv.ParseUint(v, 10, 31)
	if err != nil || pid <= 1 {
		return fmt.Errorf("%s holds no process id: %.20q", pidPath(dom), v)
	}
	if !m.isModel(int(pid), dom) {
		m.Log.Info("device model is gone already", logs.Uint16("dom", uint16(dom)), logs.Uint64("pid", pid))
		return nil
	}
	return m.hangUp(int(pid))
}

// isModel reports whether process pid is the QEMU of guest dom: its number may
// have gone to another process since.
func (m *Models) isModel(pid int, dom DomID) bool {
	b, err := m.Host.ReadFile(filepath.Join(m.Host.Proc, strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return false
	}
	args := bytes.Split(b, []byte{0})
	for i, a := range args[:max(len(args)-1, 0)] {
		if s := string(a); (s == "-xen-domid" || s == "-domid" || s == "-d") && string(args[i+1]) == strconv.Itoa(int(dom)) {
			return true
		}
	}
	return false
}

// killRounds bounds how often a process of the user may start another one while
// we kill them.
const killRounds = 100

// killUser kills all processes of a user that was made for one device model.
func (m *Models) killUser(uid string) error {
	n, err := strconv.ParseUint(uid, 10, 32)
	if err != nil || n == 0 {
		return fmt.Errorf("user id of the device model: %.20q", uid)
	}
	for range killRounds {
		pids, err := m.processesOf(n)
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			if err := m.killNow(pid); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("processes of user id %d keep appearing", n)
}

// processesOf returns the living processes of a user.
func (m *Models) processesOf(uid uint64) ([]int, error) {
	names, err := m.Host.Glob(filepath.Join(m.Host.Proc, "[0-9]*", "status"))
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range names {
		b, err := m.Host.ReadFile(name)
		if err != nil {
			continue // ended just now
		}
		if pid, ok := userProcess(string(b), uid); ok {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// userProcess reads a /proc/PID/status and reports whether the process lives and
// runs as uid.
func userProcess(status string, uid uint64) (pid int, ok bool) {
	var mine, dead bool
	for line := range strings.Lines(status) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "State:":
			dead = f[1] == "Z" || f[1] == "X"
		case "Pid:":
			pid, _ = strconv.Atoi(f[1])
		case "Uid:":
			mine = f[1] == strconv.FormatUint(uid, 10)
		}
	}
	return pid, mine && !dead && pid > 1
}
