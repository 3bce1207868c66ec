package console

import (
	"errors"
	"fmt"
	"os"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// terminal is a pseudo terminal: we are at its master side, and whoever looks at the
// console opens the path. We hold the other side open as well: without that, the
// master fails whenever nobody looks.
type terminal struct {
	*os.File // master; non-blocking, so that deadlines work
	slave    *os.File
}

// openTerminal makes a terminal that passes all bytes as they are.
func openTerminal() (*terminal, error) {
	blocking, slave, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("make terminal: %w", err)
	}
	defer blocking.Close()
	if _, err := term.MakeRaw(int(slave.Fd())); err != nil {
		return nil, fmt.Errorf("make terminal raw: %w", errors.Join(err, slave.Close()))
	}
	fd, err := unix.FcntlInt(blocking.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		if err = unix.SetNonblock(fd, true); err != nil {
			err = errors.Join(err, unix.Close(fd))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("make terminal: %w", errors.Join(err, slave.Close()))
	}
	return &terminal{os.NewFile(uintptr(fd), blocking.Name()), slave}, nil
}

// Path is what others open.
func (t *terminal) Path() string { return t.slave.Name() }

// Unread returns how many bytes wait for whoever looks; beyond 4095 it does not count.
func (t *terminal) Unread() (int, error) {
	return unix.IoctlGetInt(int(t.slave.Fd()), unix.TIOCINQ)
}

// Close closes both sides. It may be called twice.
func (t *terminal) Close() error {
	err := errors.Join(t.File.Close(), t.slave.Close())
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
