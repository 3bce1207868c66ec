package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"goxl/domains/sparse"
	"goxl/xenctrl/abi"
)

// checkpoint is a save file in the making. What is a regular file in the end
// appears under its name only when it is whole and on the disk.
type checkpoint struct {
	*os.File
	name   string         // of the file in the end; "" when it is written in place
	sparse *sparse.Writer // what is written through; nil when it is written in place
}

// createCheckpoint opens the file. A device or a pipe is written in place; of a pipe
// a reader is waited for. What a link stands for is replaced, not the link.
func createCheckpoint(name string) (*checkpoint, error) {
	real, nameless := filepath.EvalSymlinks(name)
	if nameless == nil {
		name = real
	}
	old, err := os.Stat(name)
	switch {
	case err == nil && (!old.Mode().IsRegular() || nameless != nil): // as /dev/stdout may be, of a file that was removed
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
		return &checkpoint{File: f}, err
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case err != nil:
		old = nil
	}
	f, err := createPart(name + ".part")
	if err != nil {
		return nil, err
	}
	c := &checkpoint{f, name, sparse.New(f)}
	if err := c.likeOld(old); err != nil {
		return nil, errors.Join(err, c.discard())
	}
	return c, nil
}

// createPart opens what a file is written as, alone: a killed xl leaves one, which is
// written anew, and one that is at it is not disturbed.
func createPart(name string) (*os.File, error) {
	for {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW, 0o644)
		if err != nil {
			return nil, err
		}
		same, err := lockFile(f)
		if err == nil && same {
			err = f.Truncate(0)
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if same {
			return f, nil
		}
		f.Close() // whose it was has given it its name meanwhile, or removed it
	}
}

// lockFile takes the lock of a file, and tells whether it still has its name.
func lockFile(f *os.File) (same bool, err error) {
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, fmt.Errorf("%s: another xl is writing it", f.Name())
	}
	if err != nil {
		return false, err
	}
	mine, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Lstat(f.Name())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(mine, there), err
}

// likeOld gives the new file the owner and the mode of the one that it will replace:
// who could not read that shall not read this one.
func (c *checkpoint) likeOld(old fs.FileInfo) error {
	if old == nil {
		return nil
	}
	if st, ok := old.Sys().(*syscall.Stat_t); ok {
		if err := c.Chown(int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	return c.Chmod(old.Mode().Perm())
}

// writer is what the stream is written to.
func (c *checkpoint) writer() io.Writer {
	if c.sparse != nil {
		return c.sparse
	}
	return c.File
}

// interruptedBy has a write end that waits for the reader of a pipe when ctx does. The
// function that it returns has to be called in the end.
func (c *checkpoint) interruptedBy(ctx context.Context) (stop func()) {
	off := context.AfterFunc(ctx, func() {
		c.SetWriteDeadline(time.Unix(1, 0)) // files have no deadline, and need none
	})
	return func() { off() }
}

// commit makes the file durable and gives it its name, unless ctx has ended until then.
func (c *checkpoint) commit(ctx context.Context) error {
	if c.name == "" {
		err := c.Sync()
		if errors.Is(err, unix.EINVAL) {
			err = nil // a pipe
		}
		return errors.Join(err, context.Cause(ctx), c.Close())
	}
	if err := errors.Join(c.sparse.Close(), c.Sync(), context.Cause(ctx)); err != nil {
		return err
	}
	if err := os.Rename(c.File.Name(), c.name); err != nil {
		return err
	}
	err := syncFolder(filepath.Dir(c.name))
	if err != nil {
		err = errors.Join(err, os.Remove(c.name)) // the guest will run on, and this is of an earlier time
	}
	return errors.Join(err, c.Close())
}

func syncFolder(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// discard removes what was written, if it was not committed.
func (c *checkpoint) discard() error {
	defer c.Close() // an error does not matter any more, it may be closed
	if c.name == "" {
		return nil
	}
	if err := os.Remove(c.File.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// shortOf looks, before the guest is disturbed, whether a file system has room for a
// guest of that size; short says, with the numbers, that it has not. Zeroes that are
// left out make a file smaller, how much shows only in the end.
func (c *checkpoint) shortOf(guest abi.KiB) (short, err error) {
	var fs unix.Statfs_t
	if c.name == "" {
		return nil, nil
	}
	if err := unix.Fstatfs(int(c.Fd()), &fs); err != nil {
		return nil, fmt.Errorf("how much is free where %s is: %w", c.Name(), err)
	}
	return shortage(c.Name(), abi.KiB(fs.Bavail*uint64(fs.Bsize)>>10), guest), nil
}

// beside is what a saved guest takes beside its memory: lists of pages, mostly, and
// the configuration.
const beside abi.KiB = 4 << 10

func shortage(name string, free, guest abi.KiB) error {
	need := guest + guest/512 + beside
	if free >= need {
		return nil
	}
	return fmt.Errorf("%s: %d MiB are free on that file system, and the guest needs up to %d MiB", name, free>>10, (need+1023)>>10)
}
