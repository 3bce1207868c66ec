package disk

import (
	"errors"
	"fmt"

	"goxl/blkback/disk/vhd"
)

// window is the start of a file as a Disk: a fixed VHD image without its footer.
type window struct {
	raw
	size int64
}

func (d *window) Size() int64             { return d.size }
func (d *window) Refresh() (int64, error) { return d.size, nil }

func (d *window) ReadAt(p []byte, off int64) (int, error) {
	if err := checkRange("read", off, int64(len(p)), d.size); err != nil {
		return 0, err
	}
	return d.raw.ReadAt(p, off)
}

func (d *window) WriteAt(p []byte, off int64) (int, error) {
	if err := checkRange("write", off, int64(len(p)), d.size); err != nil {
		return 0, err
	}
	return d.raw.WriteAt(p, off)
}

func (d *window) Discard(off, n int64) error {
	if err := checkRange("discard", off, n, d.size); err != nil {
		return err
	}
	return d.raw.Discard(off, n)
}

func openVHD(path string, o Options) (Disk, Info, error) {
	o.stable = true
	f, err := openFile(path, o)
	if err != nil {
		return nil, Info{}, err
	}
	im, err := newVHD(f, path, o, 0)
	if err != nil {
		return nil, Info{}, err
	}
	if im.Kind() == vhd.Fixed {
		return &window{raw{f}, im.Size()}, f.info(VHD), nil
	}
	d, info, err := readOnlyDisk(VHD, im, f, o)
	if err != nil {
		im.Close()
		f.Close()
		err = fmt.Errorf("open VHD image %s: %w", path, err)
	}
	return d, info, err
}

// newVHD opens the image in f, which it closes after an error.
func newVHD(f *file, path string, o Options, depth int) (*vhd.Image, error) {
	im, err := vhd.Open(f, f.Size(), func(names []string, id [16]byte) (vhd.Parent, error) {
		return openVHDParent(path, names, id, o, depth+1)
	})
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open VHD image %s: %w", path, err)
	}
	return im, nil
}

// vhdParent is a parent with its file.
type vhdParent struct {
	*vhd.Image
	f *file
}

func (p vhdParent) Close() error { return errors.Join(p.Image.Close(), p.f.Close()) }

// openVHDParent opens the first of the names that may be followed and is there.
func openVHDParent(path string, names []string, id [16]byte, o Options, depth int) (vhd.Parent, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%w: more than %d follow one another", ErrBacking, maxDepth)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: the image does not say where its parent is", ErrBacking)
	}
	var errs []error
	for _, name := range names {
		parent, err := backingPath(path, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		f, err := o.Backing.open(parent, o)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		im, err := newVHD(f, parent, o, depth)
		if err != nil {
			return nil, err
		}
		if im.ID() != id {
			im.Close()
			f.Close()
			return nil, fmt.Errorf("%w: %s is not the parent: its id is %x, and the image names %x", ErrBacking, parent, im.ID(), id)
		}
		return vhdParent{im, f}, nil
	}
	return nil, errors.Join(errs...)
}
