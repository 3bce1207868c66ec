package netback

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// newArena returns memory that is not Go's, since the hypervisor copies from and to
// it. What was never touched takes no room.
func newArena(size int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("buffers: %w", err)
	}
	return b, nil
}

func freeArena(b []byte) error {
	if b == nil {
		return nil
	}
	return unix.Munmap(b)
}

// openJournal maps the journal file at path; "" gives memory that does not outlive
// the process. Fresh says that what an earlier process left does not count.
func openJournal(path string, size int, fresh bool) ([]byte, error) {
	if path == "" {
		return newArena(size)
	}
	if fresh {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("journal: %w", err)
		}
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", &os.PathError{Op: "open", Path: path, Err: err})
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	b, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	return b, nil
}
