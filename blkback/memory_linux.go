package blkback

import (
	"os"

	"golang.org/x/sys/unix"
)

// reserve makes f n bytes long and takes the room for them.
func reserve(f *os.File, n int) error { return unix.Fallocate(int(f.Fd()), 0, 0, int64(n)) }

// mapFile maps the first n bytes of f, which stay when this process ends.
func mapFile(f *os.File, n int) ([]byte, error) {
	return unix.Mmap(int(f.Fd()), 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

func unmapFile(b []byte) error { return unix.Munmap(b) }

// mapPages returns zeroed memory that is the kernel's and not Go's: it does not move,
// it can be used for direct I/O, and it goes back for sure.
func mapPages(n int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, err
	}
	return b[:n:n], nil
}

func unmapPages(b []byte) {
	if err := unix.Munmap(b); err != nil {
		panic("blkback: unmap pages: " + err.Error()) // not what mapPages returned
	}
}
