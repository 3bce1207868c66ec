package qcow2

import "errors"

// Discard gives back the room of all clusters that lie within n bytes from off. They
// read as zeroes afterwards; other parts of the range keep their content.
func (im *Image) Discard(off, n int64) error {
	if im.readOnly {
		return ErrReadOnly
	}
	if err := im.checkRange(off, n); err != nil {
		return err
	}
	cs := im.h.clusterSize()
	first, end := roundUp(off, cs)/cs, (off+n)/cs
	if off+n == im.Size() { // the last cluster may reach beyond the disk
		end = roundUp(off+n, cs) / cs
	}
	for first < end {
		// As many as one slice of a table maps, so that it is written once.
		step := int64(im.l2.size / 8)
		stop := min(end, (first/step+1)*step)
		if err := im.discard(first, stop); err != nil {
			return err
		}
		first = stop
	}
	return nil
}

// discard drops the clusters from first to before end.
func (im *Image) discard(first, end int64) error {
	s := im.ranges.lock(first, end-1, true)
	defer im.ranges.unlock(s)
	if im.closed.Load() {
		return ErrClosed
	}
	c := changes.Get().(*change)
	defer changes.Put(c)
	c.entries, c.old = c.entries[:0], c.old[:0]
	flush := func(next int64) error { // the run that ends before next
		n := int64(len(c.entries))
		if n == 0 {
			return nil
		}
		done, err := im.setEntries(next-n, c.entries)
		err = errors.Join(err, im.dropOld(c.old[:done]))
		c.entries, c.old = c.entries[:0], c.old[:0]
		return err
	}
	for i := first; i < end; i++ {
		e, err := im.lookup(i)
		if err != nil {
			return im.damaged(err)
		}
		empty, ok, err := im.emptied(i, e)
		if err != nil {
			return im.damaged(err)
		}
		if ok {
			c.entries, c.old = append(c.entries, empty), append(c.old, e)
		} else if err := flush(i); err != nil {
			return err
		}
	}
	return flush(end)
}

// emptied is the L2 entry e of a cluster without its content, and whether that is
// another one. Version 2 cannot say that a cluster does not show its backing file.
func (im *Image) emptied(cluster int64, e uint64) (uint64, bool, error) {
	m, err := im.geo.decode(e, im.end.Load())
	switch {
	case err != nil || m.off == 0:
		return 0, false, err
	case !im.hasBacking(cluster):
		return 0, true, nil
	case im.geo.version < 3:
		return 0, false, nil
	}
	return flagZero, true, nil
}
