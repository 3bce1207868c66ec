package disk

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// QEMU marks a file that it uses by locks on single bytes: one at permBase+n says
// "I do this", one at sharedBase+n "nobody else may". The same here keeps its tools
// and ours from writing to one file. The locks belong to the open file, so they end
// with the process. Source: QEMU's block/file-posix.c and include/block/block-common.h.
const (
	permBase   = 100
	sharedBase = 200
	permRead   = 0 // the data makes sense
	permWrite  = 1
	permResize = 3
)

// ErrLocked is a file that another process uses.
var ErrLocked = errors.New("another process uses the file")

// lock takes the locks of a reader or of the only writer. With stable a reader allows
// no writer beside it.
func (h *file) lock(stable bool) error {
	uses, alone := []int64{permRead}, []int64(nil)
	if !h.readOnly {
		uses = []int64{permRead, permWrite, permResize}
	}
	if !h.readOnly || stable {
		alone = []int64{permWrite, permResize}
	}
	return h.control(func(fd int) error {
		for _, p := range uses {
			if err := setLock(fd, permBase+p); err != nil {
				return err
			}
		}
		for _, p := range alone {
			if err := setLock(fd, sharedBase+p); err != nil {
				return err
			}
		}
		return checkLocks(fd, uses, alone)
	})
}

// unlock gives all locks back. Closing does so too, but not before a child process
// that is being started has closed its copy of the descriptor.
func (h *file) unlock() {
	h.control(func(fd int) error {
		l := unix.Flock_t{Type: unix.F_UNLCK, Start: permBase, Len: sharedBase + permResize + 1 - permBase}
		return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &l)
	})
}

// checkLocks looks whether anybody else does what we forbid, or forbids what we do.
func checkLocks(fd int, uses, alone []int64) error {
	for _, p := range uses {
		if err := testLock(fd, sharedBase+p); err != nil {
			return err
		}
	}
	for _, p := range alone {
		if err := testLock(fd, permBase+p); err != nil {
			return err
		}
	}
	return nil
}

func setLock(fd int, at int64) error {
	l := unix.Flock_t{Type: unix.F_RDLCK, Start: at, Len: 1}
	err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &l)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES):
		return ErrLocked
	case errors.Is(err, unix.ENOLCK) || errors.Is(err, errors.ErrUnsupported) || errors.Is(err, unix.EINVAL):
		return nil // a file system without locks
	case err != nil:
		return fmt.Errorf("lock byte %d: %w", at, err)
	}
	return nil
}

func testLock(fd int, at int64) error {
	l := unix.Flock_t{Type: unix.F_WRLCK, Start: at, Len: 1}
	if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, &l); err != nil {
		return nil // a file system without locks
	}
	if l.Type != unix.F_UNLCK {
		return fmt.Errorf("%w (byte %d is locked; see /proc/locks)", ErrLocked, at)
	}
	return nil
}
