package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// pidFile holds our number, and a lock that says that we live.
type pidFile struct{ f *os.File }

// takePIDFile writes our number to path, unless a console daemon of either kind that
// is named there lives.
func takePIDFile(path string) (*pidFile, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("write pid file: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write pid file: %w", err)
	}
	p := &pidFile{f}
	if err := p.take(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return p, nil
}

func (p *pidFile) take() error {
	// The genuine daemon locks it in this way, too, but only while it starts.
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(p.f.Fd(), unix.F_SETLK, &lock); err != nil {
		return fmt.Errorf("%s is locked: another console daemon runs; stop it first: %w", p.f.Name(), err)
	}
	b, err := io.ReadAll(io.LimitReader(p.f, 32))
	if err != nil {
		return fmt.Errorf("read pid file: %w", err)
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && isConsoleDaemon(pid) {
		return fmt.Errorf("process %d of %s serves the consoles; stop it first", pid, p.f.Name())
	}
	if err := p.f.Truncate(0); err != nil {
		return fmt.Errorf("write pid file: %w", err)
	}
	if _, err := p.f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0); err != nil {
		return fmt.Errorf("write pid file: %w", err)
	}
	return nil
}

// isConsoleDaemon says whether process pid is one, and not us.
func isConsoleDaemon(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	name := strings.TrimSpace(string(b))
	return err == nil && pid != os.Getpid() && (name == "xenconsoled" || name == "consoled")
}

// release removes the file and lets go of it.
func (p *pidFile) release() {
	os.Remove(p.f.Name()) // the lock tells, not the file
	p.f.Close()
}
