package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"goxl/xenctrl/abi"
)

// openPTY opens a console's pty as it is, without line discipline. It does not
// become our controlling terminal.
func openPTY(path string) (io.ReadWriteCloser, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	rawMode(f) // a failure costs us comfort, not the console
	return f, nil
}

// rawMode has every key and byte pass as it is. It reports how to undo that.
func rawMode(f *os.File) (restore func()) {
	c, err := f.SyscallConn()
	if err != nil {
		return func() {}
	}
	restore = func() {}
	c.Control(func(fd uintptr) {
		old, err := term.MakeRaw(int(fd))
		if err == nil {
			restore = func() { term.Restore(int(fd), old) }
		}
	})
	return restore
}

// isTerminal reports whether f is one.
func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// consoleLock is held by whoever is attached to a domain's console, so that two
// do not share its bytes out between them.
type consoleLock struct{ f *os.File }

// lockConsole takes the lock of domain id below dir, or fails at once when
// somebody else has it. The file is the one that the genuine xenconsole locks.
// Its errors are texts of xenconsole and an errno for the exit status.
func lockConsole(dir string, id abi.DomID) (*consoleLock, error) {
	path := filepath.Join(dir, fmt.Sprintf("xenconsole.%d", id))
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, clientError("Could not open "+path, err)
		}
		for err = unix.EINTR; err == unix.EINTR; {
			err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		}
		if err != nil {
			f.Close()
			return nil, clientError("Could not lock "+path, err)
		}
		here, err := f.Stat()
		if err == nil {
			var there os.FileInfo
			if there, err = os.Stat(path); err == nil && os.SameFile(here, there) {
				return &consoleLock{f}, nil
			}
		}
		f.Close() // the one before us removed it while we opened it
		if err != nil && !os.IsNotExist(err) {
			return nil, clientError("Could not stat "+path, err)
		}
	}
}

// release removes the lock file, then lets go of it.
func (l *consoleLock) release() {
	os.Remove(l.f.Name())
	l.f.Close()
}
