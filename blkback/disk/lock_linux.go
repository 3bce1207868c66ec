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

// holderBase is the place of the locks of holders, far from QEMU's.
const holderBase = 1 << 62

// errNoLocks is a file system that has none.
var errNoLocks = errors.New("the file system has no locks")

// takeLock takes what locks the options want; locked tells whether there is one that lasts
// until all requests to the file have ended.
func (h *file) takeLock(o Options) (err error) {
	switch {
	case !h.block && !o.NoLock:
		err = h.lock(o.stable)
	case h.block && !h.readOnly && o.Holder != 0:
		err = h.control(func(fd int) error { return setLock(fd, unix.F_WRLCK, holderBase+int64(o.Holder%holderBase)) })
	default:
		return nil
	}
	h.locked = err == nil
	if errors.Is(err, errNoLocks) {
		return nil
	}
	return err
}

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
			if err := setLock(fd, unix.F_RDLCK, permBase+p); err != nil {
				return err
			}
		}
		for _, p := range alone {
			if err := setLock(fd, unix.F_RDLCK, sharedBase+p); err != nil {
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
		l := unix.Flock_t{Type: unix.F_UNLCK} // to the end of the file, wherever that may be
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

func setLock(fd int, kind int16, at int64) error {
	l := unix.Flock_t{Type: kind, Start: at, Len: 1}
	err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &l)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES):
		return ErrLocked
	case errors.Is(err, unix.ENOLCK) || errors.Is(err, errors.ErrUnsupported) || errors.Is(err, unix.EINVAL):
		return errNoLocks
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
