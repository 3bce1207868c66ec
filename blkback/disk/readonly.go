package disk

import (
	"errors"
	"fmt"
)

// reader is an image format that is only read.
type reader interface {
	ReadAt(p []byte, off int64) (int, error)
	Size() int64
	Close() error
}

// readOnly is such an image as a Disk.
type readOnly struct {
	r reader
	f *file
}

// readOnlyDisk makes a Disk of an image and its file. It refuses to be written to:
// better now than at the guest's first write.
func readOnlyDisk(format Format, r reader, f *file, o Options) (Disk, Info, error) {
	if !o.ReadOnly {
		return nil, Info{}, fmt.Errorf("images of this kind of %s are only read: "+
			"open it for reading, or convert it with qemu-img: %w", format, errors.ErrUnsupported)
	}
	info := f.info(format)
	info.SectorSize, info.PhysicalSectorSize, info.DiscardGranularity = 512, 4096, 0
	return &readOnly{r, f}, info, nil
}

func (d *readOnly) Size() int64 { return d.r.Size() &^ 511 }

func (d *readOnly) ReadAt(p []byte, off int64) (int, error) {
	if err := checkRange("read", off, int64(len(p)), d.Size()); err != nil {
		return 0, err
	}
	return d.r.ReadAt(p, off)
}

func (d *readOnly) WriteAt([]byte, int64) (int, error) { return 0, ErrReadOnly }
func (d *readOnly) Discard(int64, int64) error         { return ErrReadOnly }
func (d *readOnly) Flush() error                       { return nil }
func (d *readOnly) Close() error                       { return errors.Join(d.r.Close(), d.f.Close()) }
