package qcow2

import (
	"errors"
	"sync"
)

// maxChunk is how many clusters one step of a request changes the mapping of.
const maxChunk = 64

// WriteAt writes p at byte off of the disk.
func (im *Image) WriteAt(p []byte, off int64) (int, error) {
	if im.readOnly {
		return 0, ErrReadOnly
	}
	if err := im.checkRange(off, int64(len(p))); err != nil {
		return 0, err
	}
	done, err := im.writeMapped(p, off)
	for err == nil && done < len(p) {
		var n int
		n, err = im.writeUnmapped(p[done:], off+int64(done))
		done += n
	}
	return done, err
}

// writeMapped writes as far as clusters can be written in place, which changes no
// mapping, and returns how many bytes that are.
func (im *Image) writeMapped(p []byte, off int64) (int, error) {
	s, err := im.hold(off, int64(len(p)), false)
	if err != nil {
		return 0, err
	}
	defer im.ranges.unlock(s)
	for done := 0; ; {
		if done == len(p) {
			return done, nil
		}
		m, n, err := im.run(off+int64(done), len(p)-done)
		if err != nil {
			return done, im.damaged(err)
		}
		if m.kind != data || !m.copied {
			return done, nil
		}
		if err := im.writeInPlace(p[done:done+n], off+int64(done), m); err != nil {
			return done, err
		}
		done += n
	}
}

// writeInPlace writes within neighbouring clusters that are this image's alone.
func (im *Image) writeInPlace(p []byte, off int64, m mapping) error {
	if err := im.check(); err != nil {
		return err
	}
	host := m.off + off&(im.h.clusterSize()-1)
	if im.inTables(host, int64(len(p))) {
		return im.fail(corrupt("the guest's data at %d lie in a table", m.off))
	}
	return im.writeFull(p, host)
}

// writeUnmapped writes the start of p, part of which needs new clusters, and returns
// how many bytes that were.
func (im *Image) writeUnmapped(p []byte, off int64) (int, error) {
	cs := im.h.clusterSize()
	p = p[:min(int64(len(p)), maxChunk*cs-off&(cs-1))]
	s, err := im.hold(off, int64(len(p)), true)
	if err != nil {
		return 0, err
	}
	defer im.ranges.unlock(s)
	m, n, err := im.run(off, len(p))
	if err != nil {
		return 0, im.damaged(err)
	}
	if m.kind == data && m.copied { // by another request meanwhile
		return n, im.writeInPlace(p[:n], off, m)
	}
	return im.writeNew(p[:n], off)
}

// writeNew writes the start of p to new clusters and returns how many bytes that
// were. All of p lies in clusters that need it, and the caller holds them alone.
func (im *Image) writeNew(p []byte, off int64) (int, error) {
	cs := im.h.clusterSize()
	first, in := off/cs, off&(cs-1)
	host, n, err := im.allocate(int((in + int64(len(p)) + cs - 1) / cs))
	if err != nil {
		return 0, err
	}
	p = p[:min(int64(len(p)), int64(n)*cs-in)]
	mustFlush, err := im.fillNew(p, off, host)
	if err == nil && mustFlush {
		err = im.sync.run()
	}
	if err != nil {
		im.giveBack(host, n)
		return 0, err
	}
	c := changes.Get().(*change)
	defer changes.Put(c)
	c.entries, c.old = c.entries[:0], c.old[:0]
	for i := range int64(n) {
		old, err := im.lookup(first + i)
		if err != nil {
			return 0, err
		}
		c.old = append(c.old, old)
		c.entries = append(c.entries, uint64(host+i*cs)|flagCopied)
	}
	done, err := im.setEntries(first, c.entries)
	if done < n {
		im.giveBack(host+int64(done)*cs, n-done)
	}
	written := max(0, min(int64(len(p)), int64(done)*cs-in))
	return int(written), errors.Join(err, im.dropOld(c.old[:done]))
}

// change is what one step does to the mapping.
type change struct{ entries, old []uint64 }

var changes = sync.Pool{New: func() any { return new(change) }}

// fillNew writes p and what must be kept around it to the new clusters from host on.
// It reports whether the data must be flushed before anything points to it: where
// old content other than zeroes would be lost with it.
func (im *Image) fillNew(p []byte, off, host int64) (mustFlush bool, err error) {
	cs := im.h.clusterSize()
	start := off &^ (cs - 1)
	end := off + int64(len(p))
	if mustFlush, err = im.anyContent(start, end); err != nil {
		return false, err
	}
	if mustFlush {
		if err := im.copyOld(start, off, host); err != nil {
			return false, err
		}
		last := min(roundUp(end, cs), im.h.size)
		if err := im.copyOld(end, last, host+end-start); err != nil {
			return false, err
		}
	}
	return mustFlush, im.writeFull(p, host+off-start)
}

// anyContent says whether any cluster of a range has content other than zeroes.
func (im *Image) anyContent(start, end int64) (bool, error) {
	for c := start >> im.geo.clusterBits; c<<im.geo.clusterBits < end; c++ {
		m, err := im.mapping(c)
		if err != nil {
			return false, err
		}
		if m.kind == data || m.kind == compressed || m.kind == unallocated && im.hasBacking(c) {
			return true, nil
		}
	}
	return false, nil
}

// hasBacking says whether the backing file has content for a cluster.
func (im *Image) hasBacking(cluster int64) bool {
	return im.backing != nil && cluster<<im.geo.clusterBits < im.backing.Size()
}

// copyOld copies the disk's content from start to end to the place at host.
func (im *Image) copyOld(start, end, host int64) error {
	if start >= end {
		return nil
	}
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	for start < end {
		p := (*b)[:min(end-start, int64(len(*b)))]
		if err := im.read(p, start); err != nil {
			return err
		}
		if err := im.writeFull(p, host); err != nil {
			return err
		}
		start, host = start+int64(len(p)), host+int64(len(p))
	}
	return nil
}

// buffers are for copies within an image.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, 64<<10)
	return &b
}}

// dropOld notes that the clusters of old L2 entries are not used by them any more.
func (im *Image) dropOld(old []uint64) error {
	for _, e := range old {
		m, err := im.geo.decode(e, im.end.Load())
		if err != nil {
			return im.damaged(err)
		}
		switch {
		case m.off == 0:
		case m.kind == compressed:
			cs := im.h.clusterSize()
			for off := m.off &^ (cs - 1); off < m.off+int64(m.length); off += cs {
				im.alloc.unused(off)
			}
		default:
			im.alloc.unused(m.off)
		}
	}
	if im.alloc.manyUnflushed() {
		return im.flush()
	}
	return nil
}
