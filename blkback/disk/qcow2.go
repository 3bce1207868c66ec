package disk

import (
	"fmt"

	"goxl/blkback/disk/qcow2"
)

// image is a qcow2 image as a Disk.
type image struct {
	*qcow2.Image
	readOnly bool
}

func openQCOW2(path string, o Options) (Disk, Info, error) {
	o.stable = true
	f, err := openFile(path, o)
	if err != nil {
		return nil, Info{}, err
	}
	im, err := newImage(f, path, o, 0)
	if err != nil {
		return nil, Info{}, err
	}
	info := f.info(QCOW2)
	// The guest's sectors need not be those of the file's medium.
	info.SectorSize, info.PhysicalSectorSize = 512, 4096
	info.DiscardGranularity, info.DiscardAlignment = im.ClusterSize(), 0
	return &image{im, o.ReadOnly}, info, nil
}

// newImage opens the image in f, which it closes after an error.
func newImage(f *file, path string, o Options, depth int) (*qcow2.Image, error) {
	im, err := qcow2.Open(f, qcow2.Options{
		ReadOnly: o.ReadOnly,
		Cache:    o.Cache,
		Backing: func(name, format string) (qcow2.Backing, error) {
			return openBacking(path, name, format, o, depth+1)
		},
	})
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open qcow2 image %s: %w", path, err)
	}
	return im, nil
}

// openBacking opens the backing file that the image at path names.
func openBacking(path, name, said string, o Options, depth int) (qcow2.Backing, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%w: more than %d follow one another", ErrBacking, maxDepth)
	}
	path, err := backingPath(path, name)
	if err != nil {
		return nil, err
	}
	f, err := o.Backing.open(path, o)
	if err != nil {
		return nil, err
	}
	format, err := o.Backing.format(said, f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("backing file %s: %w", path, err)
	}
	switch format {
	case Raw:
		return f, nil
	case QCOW2:
		o.ReadOnly = true
		return newImage(f, path, o, depth)
	}
	f.Close()
	return nil, fmt.Errorf("%w: %s has the format %s: only raw and qcow2 can be", ErrBacking, path, format)
}

// The checks here give refusals the names that callers know.
func (d *image) ReadAt(p []byte, off int64) (int, error) {
	if err := checkRange("read", off, int64(len(p)), d.Size()); err != nil {
		return 0, err
	}
	return d.Image.ReadAt(p, off)
}

func (d *image) WriteAt(p []byte, off int64) (int, error) {
	if d.readOnly {
		return 0, ErrReadOnly
	}
	if err := checkRange("write", off, int64(len(p)), d.Size()); err != nil {
		return 0, err
	}
	return d.Image.WriteAt(p, off)
}

func (d *image) Discard(off, n int64) error {
	if d.readOnly {
		return ErrReadOnly
	}
	if err := checkRange("discard", off, n, d.Size()); err != nil {
		return err
	}
	return d.Image.Discard(off, n)
}
