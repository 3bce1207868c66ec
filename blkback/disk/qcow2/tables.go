package qcow2

import (
	"encoding/binary"
	"sync/atomic"
)

// maxSlice is how much of a table is read and kept at a time.
const maxSlice = 4096

func sliceSize(h *header) int { return int(min(maxSlice, h.clusterSize())) }

// tableCache keeps slices of L2 tables as they are in the file. mapMu guards it.
type tableCache struct {
	size   int // of a slice
	slots  []*tableSlice
	limit  int // most slots
	hand   int
	byOff  map[int64]*tableSlice
	change uint64 // counts the changes of tables, cached or not
}

type tableSlice struct {
	off  int64 // in the file
	b    []byte
	used atomic.Bool // since the hand came by
}

func (c *tableCache) init(size, bytes int) {
	if bytes == 0 {
		bytes = DefaultCache
	}
	c.size, c.limit, c.byOff = size, max(bytes/size, 4), map[int64]*tableSlice{}
}

// get is the slice at off, or nil.
func (c *tableCache) get(off int64) *tableSlice {
	s := c.byOff[off]
	if s != nil && !s.used.Load() {
		s.used.Store(true)
	}
	return s
}

// put copies b in as the slice at off, in the place of one that was not used lately.
func (c *tableCache) put(off int64, b []byte) {
	s := c.byOff[off]
	if s == nil {
		s = c.room()
		s.off = off
		c.byOff[off] = s
	}
	copy(s.b, b)
	s.used.Store(true)
}

func (c *tableCache) room() *tableSlice {
	if len(c.slots) < c.limit {
		s := &tableSlice{b: make([]byte, c.size)}
		c.slots = append(c.slots, s)
		return s
	}
	for {
		s := c.slots[c.hand]
		c.hand = (c.hand + 1) % len(c.slots)
		if !s.used.Swap(false) {
			if c.byOff[s.off] == s {
				delete(c.byOff, s.off)
			}
			return s
		}
	}
}

// drop forgets all slices of the table at off.
func (c *tableCache) drop(off, n int64) {
	for ; n > 0; off, n = off+int64(c.size), n-int64(c.size) {
		if s := c.byOff[off]; s != nil {
			delete(c.byOff, off)
			s.off = -1
			s.used.Store(false)
		}
	}
}

// place is where the L2 entry of a guest cluster stands.
func (im *Image) place(cluster int64) (l1 int, slice int64, entry int) {
	bits := im.geo.clusterBits - 3 // of an index into an L2 table
	l1 = int(cluster >> bits)
	at := (cluster & (1<<bits - 1)) * 8
	slice = at &^ int64(im.l2.size-1)
	return l1, slice, int(at - slice)
}

// lookup is the L2 entry of a guest cluster, which the caller holds.
func (im *Image) lookup(cluster int64) (uint64, error) {
	l1, slice, entry := im.place(cluster)
	im.mapMu.RLock()
	l1e := im.l1[l1]
	if l1e == 0 {
		im.mapMu.RUnlock()
		return 0, nil
	}
	off := int64(l1e&offsetMask) + slice
	if s := im.l2.get(off); s != nil {
		e := binary.BigEndian.Uint64(s.b[entry:])
		im.mapMu.RUnlock()
		return e, nil
	}
	im.mapMu.RUnlock()
	return im.lookupFile(l1, slice, entry)
}

// lookupFile reads a slice of an L2 table into the cache and an entry from it.
func (im *Image) lookupFile(l1 int, slice int64, entry int) (uint64, error) {
	b := make([]byte, im.l2.size)
	for range 3 {
		im.mapMu.RLock()
		l1e, change := im.l1[l1], im.l2.change
		im.mapMu.RUnlock()
		e, stable, err := im.loadSlice(b, l1e, slice, entry, change)
		if err != nil || stable {
			return e, err
		}
	}
	im.mapW.Lock() // tables change all the time: make them wait
	defer im.mapW.Unlock()
	e, _, err := im.loadSlice(b, im.l1[l1], slice, entry, im.l2.change)
	return e, err
}

// loadSlice reads a slice and keeps it, unless tables changed since change was read.
func (im *Image) loadSlice(b []byte, l1e uint64, slice int64, entry int, change uint64) (uint64, bool, error) {
	table, err := im.geo.tableOffset(l1e, im.end.Load())
	if err != nil || table == 0 {
		return 0, true, err
	}
	if err := im.readFull(b, table+slice); err != nil {
		return 0, true, err
	}
	im.mapMu.Lock()
	defer im.mapMu.Unlock()
	if im.l2.change != change {
		return 0, false, nil
	}
	im.l2.put(table+slice, b)
	return binary.BigEndian.Uint64(b[entry:]), true, nil
}

// mapping reads and decodes the L2 entry of a guest cluster, which the caller holds.
func (im *Image) mapping(cluster int64) (mapping, error) {
	e, err := im.lookup(cluster)
	if err != nil {
		return mapping{}, err
	}
	return im.geo.decode(e, im.end.Load())
}

// setEntries writes the L2 entries of guest clusters from first on, which the caller
// holds alone. What the new entries need must be in place before. It returns how many
// it has written: after an error those beyond are as before.
func (im *Image) setEntries(first int64, entries []uint64) (int, error) {
	im.mapW.Lock()
	defer im.mapW.Unlock()
	done := 0
	for done < len(entries) {
		if err := im.check(); err != nil {
			return done, err
		}
		l1, slice, at := im.place(first + int64(done))
		n := min(len(entries)-done, (im.l2.size-at)/8)
		table, err := im.ownTable(l1)
		if err != nil {
			return done, err
		}
		if err := im.changeSlice(table+slice, at, entries[done:done+n]); err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// changeSlice writes entries into the slice at off; the caller holds mapW.
func (im *Image) changeSlice(off int64, at int, entries []uint64) error {
	im.mapMu.RLock()
	s := im.l2.get(off)
	if s != nil {
		copy(im.scratch, s.b)
	}
	im.mapMu.RUnlock()
	if s == nil {
		if err := im.readFull(im.scratch, off); err != nil {
			return err
		}
	}
	for i, e := range entries {
		binary.BigEndian.PutUint64(im.scratch[at+i*8:], e)
	}
	if err := im.writeFull(im.scratch, off); err != nil {
		return im.unwritten(err)
	}
	im.mapMu.Lock()
	im.l2.change++
	im.l2.put(off, im.scratch)
	im.mapMu.Unlock()
	return nil
}

// ownTable is where the L2 table of an L1 entry lies, made or copied if there is
// none that may be changed. The caller holds mapW.
func (im *Image) ownTable(l1 int) (int64, error) {
	e := im.l1[l1]
	old, err := im.geo.tableOffset(e, im.end.Load())
	if err != nil {
		return 0, im.fail(err)
	}
	if old != 0 && e&flagCopied != 0 {
		return old, nil
	}
	table, _, err := im.allocate(1) // reads as zeroes: a table without mappings
	if err != nil {
		return 0, err
	}
	if old != 0 {
		if err := im.copyTable(table, old); err != nil {
			im.giveBack(table, 1)
			return 0, err
		}
	}
	var b [8]byte
	e = uint64(table) | flagCopied
	binary.BigEndian.PutUint64(b[:], e)
	if err := im.writeFull(b[:], im.h.l1Off+int64(l1)*8); err != nil {
		im.giveBack(table, 1)
		return 0, im.unwritten(err)
	}
	im.mapMu.Lock()
	im.l1[l1] = e
	im.l2.change++
	im.l2.drop(old, im.h.clusterSize())
	im.l2.drop(table, im.h.clusterSize())
	im.mapMu.Unlock()
	if old != 0 {
		im.alloc.unused(old)
	}
	return table, nil
}

// copyTable makes a copy of a table that a snapshot shares, and has it on the medium.
func (im *Image) copyTable(to, from int64) error {
	b := make([]byte, im.h.clusterSize())
	if err := im.readFull(b, from); err != nil {
		return err
	}
	if err := im.writeFull(b, to); err != nil {
		return err
	}
	return im.sync.run()
}
