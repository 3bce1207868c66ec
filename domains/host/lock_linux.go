package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Lock is an exclusive lock on a file, known to other processes.
type Lock struct {
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
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, fmt.Errorf("lock: %w", err)
		}
		if err := wait(ctx, f, func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX) }); err != nil {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if sameFile(f, path) {
			return &Lock{file: f, remove: true}, nil
		}
		f.Close() // its holder removed it while we waited
	}
}

// HotplugLock takes the hotplug scripts' lock of the given name: "block" while
// sharing is checked and loop devices change, "iptables" while rules do.
func (h *Host) HotplugLock(ctx context.Context, name string) (*Lock, error) {
	if err := os.MkdirAll(h.Hotplug, 0o755); err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return h.Lock(ctx, filepath.Join(h.Hotplug, name))
}

// LockXL takes the lock that xl holds while it frees memory for a new guest and
// creates it, an fcntl lock on the whole of /var/lock/xl. It excludes other
// processes only: a process must not take it twice at a time.
func (h *Host) LockXL(ctx context.Context) (*Lock, error) {
	f, err := os.OpenFile(h.XLLock, os.O_WRONLY|os.O_CREATE, 0o200)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	err = wait(ctx, f, func() error {
		return unix.FcntlFlock(f.Fd(), unix.F_SETLKW, &unix.Flock_t{Type: unix.F_WRLCK})
	})
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", h.XLLock, err)
	}
	return &Lock{file: f}, nil
}

// Unlock releases l. A lock file goes away before the lock does. It may be
// called twice.
func (l *Lock) Unlock() error {
	if l.file == nil {
		return nil
	}
	var err error
	if l.remove {
		err = os.Remove(l.file.Name())
	}
	err = errors.Join(err, l.file.Close())
	l.file = nil
	return err
}

// wait runs a blocking lock call on f. When ctx ends first, the call goes on in
// the background and gives the lock back as soon as it has it: the kernel offers
// no way to take it back from a thread of ours.
func wait(ctx context.Context, f *os.File, lock func() error) error {
	if err := ctx.Err(); err != nil {
		f.Close()
		return err
	}
	got := make(chan error, 1)
	go func() {
		err := lock()
		for errors.Is(err, unix.EINTR) {
			err = lock()
		}
		got <- err
	}()
	select {
	case err := <-got:
		if err != nil {
			f.Close()
		}
		return err
	case <-ctx.Done():
		go func() {
			<-got
			f.Close()
		}()
		return fmt.Errorf("held by another process: %w", context.Cause(ctx))
	}
}

func sameFile(f *os.File, path string) bool {
	a, err1 := f.Stat()
	b, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}
