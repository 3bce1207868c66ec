package qcow2

import (
	"errors"
	"slices"
)

// maxUnflushed is how many freed clusters wait for a flush at most.
const maxUnflushed = 4096

// unused notes that a mapping which used the cluster at off has been changed. Its count
// falls after the next flush: until then a loss of power may bring the old mapping back.
func (a *allocator) unused(off int64) {
	a.mu.Lock()
	a.unflushed = append(a.unflushed, off)
	a.mu.Unlock()
}

// giveBack takes n clusters from off on that no mapping has used, but that may hold data.
func (im *Image) giveBack(off int64, n int) {
	for i := range int64(n) {
		im.alloc.unused(off + i<<im.geo.clusterBits)
	}
}

func (a *allocator) takeUnflushed() []int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	freed := a.unflushed
	a.unflushed = nil
	return freed
}

func (a *allocator) putUnflushed(freed []int64) {
	a.mu.Lock()
	a.unflushed = append(freed, a.unflushed...)
	a.mu.Unlock()
}

func (a *allocator) manyUnflushed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.unflushed) > maxUnflushed
}

// free lowers the counts of clusters by one each, and makes holes of those that
// nothing uses any more.
func (im *Image) free(offs []int64) error {
	if len(offs) == 0 {
		return nil
	}
	a := &im.alloc
	a.mu.Lock()
	defer a.mu.Unlock()
	var gone []int64
	for _, off := range offs {
		c := off >> im.geo.clusterBits
		if err := im.release(c); err != nil {
			return err
		}
		if n, err := im.refcount(c); err == nil && n == 0 {
			gone = append(gone, c)
		}
	}
	if err := im.writeRefs(); err != nil {
		return err
	}
	slices.Sort(gone)
	for run := range runs(slices.Compact(gone)) {
		err := im.f.Discard(run[0]<<im.geo.clusterBits, int64(len(run))<<im.geo.clusterBits)
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return nil
}

// release lowers the count of a cluster by one, in memory.
func (im *Image) release(c int64) error {
	n, err := im.refcount(c)
	if err == nil && n == 0 {
		err = corrupt("cluster %d was in use and counts as free", c)
	}
	if err == nil {
		err = im.setRefcount(c, n-1)
	}
	if err != nil {
		return im.damaged(err)
	}
	if n == 1 {
		im.alloc.hint = min(im.alloc.hint, c)
	}
	return nil
}

// releaseReserve frees what was reserved and not used.
func (im *Image) releaseReserve() error {
	a := &im.alloc
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, off := range a.reserve {
		if err := im.release(off >> im.geo.clusterBits); err != nil {
			return err
		}
	}
	a.reserve = nil
	return im.writeRefs()
}
