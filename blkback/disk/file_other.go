//go:build !linux

package disk

import (
	"errors"
	"os"
	"sync"
)

// file exists on Linux only.
type file struct {
	direct, readOnly, block, locked          bool
	sector, physical, granularity, alignment int
	offAlign                                 int
	rmw                                      sync.RWMutex
}

// ErrLocked is a file that another process uses.
var ErrLocked = errors.New("another process uses the file")

func openWith(string, Options, func(int) (*os.File, error)) (*file, error) {
	return nil, errors.ErrUnsupported
}
func openFile(string, Options) (*file, error)    { return nil, errors.ErrUnsupported }
func (*file) ReadAt([]byte, int64) (int, error)  { return 0, errors.ErrUnsupported }
func (*file) WriteAt([]byte, int64) (int, error) { return 0, errors.ErrUnsupported }
func (*file) Flush() error                       { return errors.ErrUnsupported }
func (*file) Discard(int64, int64) error         { return errors.ErrUnsupported }
func (*file) Zero(int64, int64) error            { return errors.ErrUnsupported }
func (*file) Grow(int64) error                   { return errors.ErrUnsupported }
func (*file) Refresh() (int64, error)            { return 0, errors.ErrUnsupported }
func (*file) Size() int64                        { return 0 }
func (*file) Close() error                       { return nil }
func (*file) aligned([]byte, int64) bool         { return false }
func (*file) control(func(int) error) error      { return errors.ErrUnsupported }
func (*file) endDirect()                         {}
