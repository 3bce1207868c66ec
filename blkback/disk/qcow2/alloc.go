package qcow2

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"syscall"
)

// DefaultReserve is how many bytes of clusters are reserved at a time, at most.
const DefaultReserve = 8 << 20

// allocate takes up to want clusters that follow one another in the file. Their
// reference count is one and they read as zeroes, also after a loss of power.
func (im *Image) allocate(want int) (off int64, n int, err error) {
	a := &im.alloc
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.reserve) == 0 {
		if err := im.refill(); err != nil {
			return 0, 0, err
		}
	}
	off = a.reserve[0]
	for n = 1; n < want && n < len(a.reserve) && a.reserve[n] == off+int64(n)<<im.geo.clusterBits; n++ {
	}
	a.reserve = a.reserve[n:]
	return off, n, nil
}

// refill fills the reserve. The caller holds alloc.mu.
func (im *Image) refill() error {
	if err := im.check(); err != nil {
		return err
	}
	a := &im.alloc
	// It grows with use: a disk that is hardly written to leaks little.
	most := max(a.limit>>im.geo.clusterBits, 4)
	a.batch = min(max(a.batch*2, most/8, 4), most)
	end := im.end.Load() >> im.geo.clusterBits
	start := a.hint
	a.hint = math.MaxInt64 // until something before the end is freed meanwhile
	found, err := im.findFree(start, a.batch)
	if len(found) > 0 {
		found, err = im.makeReserve(found, end)
	}
	if len(found) == 0 {
		a.hint = min(a.hint, start)
		return err
	}
	a.reserve = a.reserve[:0]
	for _, c := range found {
		a.reserve = append(a.reserve, c<<im.geo.clusterBits)
	}
	a.hint = min(a.hint, found[len(found)-1]+1)
	return nil
}

// maxLeak is how many clusters behind the end of the file may count as used. Some
// do after a crash of other programs; many more are a trap.
const maxLeak = 1 << 20

// findFree finds up to n free clusters from c on, and counts them as used, in memory.
func (im *Image) findFree(c int64, n int) (found []int64, err error) {
	for len(found) < n {
		if t := c / im.perBlock(); t >= int64(len(im.alloc.table)) || im.alloc.table[t] == 0 {
			if c, err = im.addBlock(c); err != nil {
				return found, err
			}
			continue
		}
		count, err := im.refcount(c)
		if err == nil && count == 0 {
			found = append(found, c)
			err = im.setRefcount(c, 1)
		} else if err == nil && c > im.end.Load()>>im.geo.clusterBits+maxLeak {
			err = corrupt("more than %d clusters behind the file's end count as used", maxLeak)
		}
		if err != nil {
			return found, im.damaged(err)
		}
		c++
	}
	return found, nil
}

// makeReserve gives clusters the two properties of the reserve: at least to some, or
// it returns an error. Those from end on lie behind what the file was when the search
// began.
func (im *Image) makeReserve(found []int64, end int64) ([]int64, error) {
	all := found
	var err error
	for len(found) > 0 { // a full file system or device may still have a little
		if err = im.grow(found[len(found)-1] + 1); err == nil {
			break
		}
		found = found[:len(found)/2]
	}
	if len(found) > 0 {
		err = im.clearReserve(found, end)
	}
	if err != nil {
		found = nil
	}
	for _, c := range all[len(found):] { // they are in no table: nothing depends on it
		im.setRefcount(c, 0)
		im.alloc.hint = min(im.alloc.hint, c)
	}
	return found, err
}

func (im *Image) clearReserve(found []int64, end int64) error {
	if err := im.checkOverlap(found); err != nil {
		return im.fail(err)
	}
	bits := im.geo.clusterBits
	for run := range runs(found) {
		if run[0] >= end {
			break
		}
		n := min(run[len(run)-1]+1, end) - run[0]
		if err := im.f.Zero(run[0]<<bits, n<<bits); err != nil {
			return fmt.Errorf("clear free clusters: %w", err)
		}
	}
	if err := im.writeRefs(); err != nil {
		return err
	}
	return im.sync.run()
}

// grow makes the file at least that many clusters long.
func (im *Image) grow(clusters int64) error {
	size := clusters << im.geo.clusterBits
	if size <= im.end.Load() {
		return nil
	}
	if err := im.f.Grow(size); err != nil {
		return err
	}
	im.end.Store(size)
	return nil
}

// runs yields the runs of neighbours in sorted clusters.
func runs(clusters []int64) func(yield func([]int64) bool) {
	return func(yield func([]int64) bool) {
		for len(clusters) > 0 {
			n := 1
			for n < len(clusters) && clusters[n] == clusters[n-1]+1 {
				n++
			}
			if !yield(clusters[:n]) {
				return
			}
			clusters = clusters[n:]
		}
	}
}

// checkOverlap looks whether clusters that are free by their count are in use by a
// table: then the counts lie, and to go on would destroy the image.
func (im *Image) checkOverlap(found []int64) error {
	for _, c := range found {
		if im.inTables(c<<im.geo.clusterBits, im.h.clusterSize()) {
			return corrupt("cluster %d holds a table and counts as free", c)
		}
	}
	low, high := found[0]<<im.geo.clusterBits, found[len(found)-1]<<im.geo.clusterBits
	check := func(e uint64) error {
		if off := int64(e & offsetMask); off >= low && off <= high {
			if _, hit := slices.BinarySearch(found, off>>im.geo.clusterBits); hit {
				return corrupt("the cluster at %d holds a table and counts as free", off)
			}
		}
		return nil
	}
	im.mapMu.RLock()
	defer im.mapMu.RUnlock()
	for _, e := range im.l1 {
		if err := check(e); err != nil {
			return err
		}
	}
	for _, e := range im.alloc.table {
		if err := check(e); err != nil {
			return err
		}
	}
	return nil
}

// extent is a range of the file.
type extent struct{ off, n int64 }

// noteTables keeps where the header, the L1 table and the reference count table are.
func (im *Image) noteTables() {
	cs := im.h.clusterSize()
	im.tables.Store(&[3]extent{
		{0, cs},
		{im.h.l1Off, roundUp(int64(len(im.l1))*8, cs)},
		{im.h.refTableOff, int64(im.h.refTableClusters) << im.geo.clusterBits},
	})
}

// inTables says whether n bytes from off meet one of these.
func (im *Image) inTables(off, n int64) bool {
	for _, t := range im.tables.Load() {
		if off < t.off+t.n && t.off < off+n {
			return true
		}
	}
	return false
}

// damaged ends all writing if err says that the image is damaged.
func (im *Image) damaged(err error) error {
	if errors.Is(err, ErrCorrupt) {
		return im.fail(err)
	}
	return err
}

// unwritten is what to do when a piece of a table could not be written: the file may
// have either content, so nothing may be reused from here on. A full file system is
// the exception: it takes a block whole or not at all.
func (im *Image) unwritten(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return err
	}
	return im.fail(err)
}
