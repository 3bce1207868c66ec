package host

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// flushEvery is after how many written bytes the kernel may forget what it has
// cached: dom0's memory is small, and nobody reads the file again soon.
const flushEvery = 64 << 20

// ErrNoSpace says, in numbers, that a file system has too little room.
type ErrNoSpace struct {
	Path       string
	Need, Free uint64 // bytes
}

func (e *ErrNoSpace) Error() string {
	return fmt.Sprintf("%s: %d MiB needed, %d MiB free on its file system", e.Path, (e.Need+1<<20-1)>>20, e.Free>>20)
}

// Is makes it match syscall.ENOSPC, which writing would end with.
func (e *ErrNoSpace) Is(target error) bool { return target == unix.ENOSPC }

// BigFile is a file of a known size that is being written: whole, or not at all.
type BigFile struct {
	f       *os.File
	regular bool
	since   int
}

// CreateBig opens path, which only root may read, for size bytes. What is there is
// replaced, but not before we know that there is room: *ErrNoSpace. Anything but a
// regular file, a pipe say, is written to as it is.
func (h *Host) CreateBig(path string, size uint64) (*BigFile, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	b := &BigFile{f: f}
	fi, err := f.Stat()
	if err == nil && fi.Mode().IsRegular() {
		b.regular = true
		err = b.makeRoom(path, size, fi)
	}
	if err != nil {
		if b.regular && fi.Size() == 0 { // we made it, or it was worth nothing
			err = errors.Join(err, os.Remove(path))
		}
		return nil, errors.Join(err, f.Close())
	}
	return b, nil
}

// makeRoom empties the file if what it gives back and what is free is enough.
func (b *BigFile) makeRoom(path string, size uint64, fi os.FileInfo) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(b.f.Fd()), &fs); err != nil {
		return fmt.Errorf("%s: statfs: %w", path, err)
	}
	free := fs.Bavail * uint64(fs.Bsize)
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		free += uint64(st.Blocks) * 512
	}
	if free < size {
		return &ErrNoSpace{path, size, free}
	}
	return b.f.Truncate(0)
}

// Write appends p.
func (b *BigFile) Write(p []byte) (int, error) {
	n, err := b.f.Write(p)
	if b.since += n; b.regular && b.since >= flushEvery {
		b.since = 0
		_ = unix.Fadvise(int(b.f.Fd()), 0, 0, unix.FADV_DONTNEED) // a hint
	}
	return n, err
}

// Commit brings the file to the disk and closes it. After an error it is gone.
func (b *BigFile) Commit() error {
	if b.regular {
		if err := b.f.Sync(); err != nil {
			return errors.Join(err, b.Abort())
		}
		_ = unix.Fadvise(int(b.f.Fd()), 0, 0, unix.FADV_DONTNEED)
	}
	return b.f.Close()
}

// Abort removes what was written: half a dump is of no use and fills the disk. The
// space is freed even if the name was a link.
func (b *BigFile) Abort() error {
	if !b.regular {
		return b.f.Close()
	}
	return errors.Join(b.f.Truncate(0), os.Remove(b.f.Name()), b.f.Close())
}
