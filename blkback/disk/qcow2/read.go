package qcow2

import "errors"

// ReadAt fills p from byte off of the disk.
func (im *Image) ReadAt(p []byte, off int64) (int, error) {
	if err := im.checkRange(off, int64(len(p))); err != nil {
		return 0, err
	}
	s, err := im.hold(off, int64(len(p)), false)
	if err != nil {
		return 0, err
	}
	err = im.read(p, off)
	im.ranges.unlock(s)
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// read fills p; the caller holds the range.
func (im *Image) read(p []byte, off int64) error {
	for len(p) > 0 {
		m, n, err := im.run(off, len(p))
		if err != nil {
			return err
		}
		in := off & (im.h.clusterSize() - 1)
		switch {
		case m.kind == data:
			err = im.readFull(p[:n], m.off+in)
		case m.kind == compressed:
			err = im.readCompressed(p[:n], m, in)
		case m.kind == unallocated && im.backing != nil:
			err = im.readBacking(p[:n], off)
		default:
			clear(p[:n])
		}
		if err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

// run is the mapping of the cluster at off, and how many bytes from there on, at
// most n, can be treated in one go.
func (im *Image) run(off int64, n int) (mapping, int, error) {
	bits := im.geo.clusterBits
	c := off >> bits
	first, err := im.mapping(c)
	if err != nil {
		return mapping{}, 0, err
	}
	length := min(int64(n), (c+1)<<bits-off)
	for length < int64(n) && first.kind != compressed {
		c++
		next, err := im.mapping(c)
		if err != nil || next.kind != first.kind || next.copied != first.copied ||
			first.kind == data && next.off != first.off+(c<<bits-off&^(1<<bits-1)) {
			break // an error is met again when its turn comes
		}
		length = min(int64(n), (c+1)<<bits-off)
	}
	return first, int(length), nil
}

// readBacking reads what the backing file has at off, zeroes behind its end.
func (im *Image) readBacking(p []byte, off int64) error {
	n := min(max(im.backing.Size()-off, 0), int64(len(p)))
	clear(p[n:])
	if n == 0 {
		return nil
	}
	if got, err := im.backing.ReadAt(p[:n], off); err != nil && got < int(n) {
		return errors.Join(errors.New("read the backing file"), err)
	}
	return nil
}
