package disk

import (
	"errors"
	"fmt"
)

// Disk is a fixed number of bytes that a guest sees as its disk. All methods may be
// called by many goroutines at a time and block until the host has done the work.
// Requests that overlap in time and place are not ordered, as on a real disk.
type Disk interface {
	// ReadAt fills p from byte off. It reads all of p or returns an error; what p
	// holds after an error is undefined. It keeps no reference to p.
	ReadAt(p []byte, off int64) (int, error)

	// WriteAt writes all of p at byte off or returns an error; after an error each
	// sector of the range has its old or its new content.
	WriteAt(p []byte, off int64) (int, error)

	// Flush returns when every write that returned before it was called would
	// survive a loss of power. After an error nothing is known of those writes.
	Flush() error

	// Discard says that n bytes from off are not needed any more. What they read as
	// afterwards is undefined. Parts smaller than the granularity are left alone. It
	// returns errors.ErrUnsupported where the host cannot do it.
	Discard(off, n int64) error

	// Size is the length in bytes, a multiple of 512.
	Size() int64

	// Close gives back what was reserved and closes the host's files, once no request
	// uses them any more. It need not flush what was written: call Flush before.
	// Requests after Close return an error. It may be called twice.
	Close() error
}

// Refresher is a Disk that can grow or shrink from outside while it is open, such as
// a logical volume. Refresh asks the host and returns the size, which Size then
// returns too.
type Refresher interface {
	Refresh() (int64, error)
}

// Info is what a frontend should know of a disk. All numbers are bytes.
type Info struct {
	Format Format
	// SectorSize is the smallest unit of I/O: offsets and lengths of requests should
	// be multiples of it. Others work too, but slowly.
	SectorSize int
	// PhysicalSectorSize is the unit below which the medium must read before it
	// writes.
	PhysicalSectorSize int
	// DiscardGranularity is the smallest unit of Discard, 0 where there is none.
	DiscardGranularity int
	// DiscardAlignment is where in the disk the first such unit starts.
	DiscardAlignment int
	// ReadOnly says that writes fail, because of the options or of the medium.
	ReadOnly bool
	// Direct says that I/O passes by the host's page cache.
	Direct bool
}

// Errors that callers may act on.
var (
	// ErrRange is a request that does not lie within the disk.
	ErrRange = errors.New("beyond the end of the disk")
	// ErrReadOnly is a write to a disk that was opened for reading.
	ErrReadOnly = errors.New("the disk is open for reading only")
)

// checkRange returns an error unless n bytes from off lie in a disk of that size.
func checkRange(op string, off, n, size int64) error {
	if off < 0 || n < 0 || off > size || n > size-off {
		return fmt.Errorf("%s %d bytes at %d of %d: %w", op, n, off, size, ErrRange)
	}
	return nil
}
