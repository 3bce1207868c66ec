package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Lock is an exclusive lock on a file, known to other processes.
type Lock struct {
	h      *Host
	file   *os.File
	remove bool
}

// Lock takes the lock file at path as libxl and the hotplug scripts do: flock,
// and afterwards a look whether the name still leads to the locked file, since
// whoever releases it removes it first. It waits until the lock is free or ctx
// ends. The lock is between open files, so two Locks of one process exclude each
// other too. Source: libxl__lock_file in tools/libs/light/libxl_internal.c.
func (h *Host) Lock(ctx context.Context, path string) (*Lock, error) {
	for {
		if ctx.Err() != nil { // else a file would be left that nobody removes
			return nil, fmt.Errorf("lock %s: %w", path, context.Cause(ctx))
		}
		f, err := h.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, fmt.Errorf("lock: %w", err)
		}
		err = h.Flock(f, unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			late := func() error { return (&Lock{h: h, file: f, remove: h.isAt(f, path)}).Unlock() }
			err = wait(ctx, f, func() error { return h.Flock(f, unix.LOCK_EX) }, late)
		} else if err != nil {
			f.Close()
			h.sweep(path)
		}
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if h.isAt(f, path) {
			return &Lock{h: h, file: f, remove: true}, nil
		}
		f.Close() // its holder removed it while we waited
	}
}

// sweep removes a lock file that we may have made and could not lock, unless
// somebody has it.
func (h *Host) sweep(path string) {
	if l, err := h.TryLock(path); err == nil {
		l.Unlock()
	}
}

// ErrHeld says that a lock is held by somebody else.
var ErrHeld = errors.New("held by another process")

// TryLock is Lock for a file that exists, without waiting: the error is ErrHeld
// when somebody has the lock, and fs.ErrNotExist when there is no such file.
func (h *Host) TryLock(path string) (*Lock, error) {
	f, err := h.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	err = h.Flock(f, unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		err = ErrHeld
	case err == nil && !h.isAt(f, path):
		err = fs.ErrNotExist // its holder removed it just now
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &Lock{h: h, file: f, remove: true}, nil
}

// HotplugLock takes the hotplug scripts' lock of the given name: "block" while
// sharing is checked and loop devices change, "iptables" while rules do.
func (h *Host) HotplugLock(ctx context.Context, name string) (*Lock, error) {
	if err := h.MkdirAll(h.Hotplug, 0o755); err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return h.Lock(ctx, filepath.Join(h.Hotplug, name))
}

// LockXL takes the lock that xl holds while it frees memory for a new guest and
// creates it, an fcntl lock on the whole of /var/lock/xl. It excludes other
// processes only: a process must not take it twice at a time.
func (h *Host) LockXL(ctx context.Context) (*Lock, error) {
	f, err := h.OpenFile(h.XLLock, os.O_WRONLY|os.O_CREATE, 0o200)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	err = wait(ctx, f, func() error { return h.LockFile(f) }, f.Close)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", h.XLLock, err)
	}
	return &Lock{h: h, file: f}, nil
}

// Unlock releases l. A lock file goes away before the lock does. It may be
// called twice.
func (l *Lock) Unlock() error {
	if l.file == nil {
		return nil
	}
	var err error
	if l.remove {
		err = l.h.Remove(l.file.Name())
	}
	err = errors.Join(err, l.file.Close())
	l.file = nil
	return err
}

// Append adds to the lock file: it may say for what it is held.
func (l *Lock) Append(b []byte) error { return l.h.Append(l.file, b) }

// Read reads from the lock file, from its beginning on.
func (l *Lock) Read(b []byte) (int, error) { return l.file.Read(b) }

// Leave releases l and leaves the lock file where it is, as the end of the
// process would.
func (l *Lock) Leave() error {
	l.remove = false
	return l.Unlock()
}

// wait runs a blocking lock call on f. When ctx ends first, the call goes on in
// the background and release gives the lock back as soon as we have it: the kernel
// offers no way to take it back from a thread of ours.
func wait(ctx context.Context, f *os.File, lock, release func() error) error {
	got := make(chan error, 1)
	go func() {
		got <- lock()
	}()
	select {
	case err := <-got:
		if err != nil {
			f.Close()
		}
		return err
	case <-ctx.Done():
		go func() {
			if <-got != nil {
				f.Close()
				return
			}
			release()
		}()
		return fmt.Errorf("%w: %w", ErrHeld, context.Cause(ctx))
	}
}

// isAt reports whether path leads to the open file f.
func (h *Host) isAt(f *os.File, path string) bool {
	a, err1 := f.Stat()
	b, err2 := h.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}
