package qcow2

import (
	"encoding/binary"
	"fmt"
)

// addBlock makes a reference count block for a cluster that has none. The block lies
// in the first cluster of its own range from c on, so that it counts itself. It
// returns the cluster at which the search for free ones goes on.
func (im *Image) addBlock(c int64) (int64, error) {
	t := c / im.perBlock()
	if t >= int64(len(im.alloc.table)) {
		return im.growRefTable(c)
	}
	if err := im.checkOverlap([]int64{c}); err != nil {
		return c, im.fail(err)
	}
	if err := im.writeBlocks(c, 1, 1); err != nil {
		return c, err
	}
	if err := im.sync.run(); err != nil { // the block before what points to it
		return c, err
	}
	e := uint64(c) << im.geo.clusterBits
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], e)
	if err := im.writeFull(b[:], im.h.refTableOff+t*8); err != nil {
		return c, im.unwritten(err)
	}
	im.alloc.table[t] = e
	return c + 1, nil
}

// writeBlocks writes n reference count blocks into the clusters from c on, which
// count the first used clusters from c on as used.
func (im *Image) writeBlocks(c, n, used int64) error {
	if err := im.grow(c + n); err != nil {
		return err
	}
	b := make([]byte, im.h.clusterSize())
	per := im.perBlock()
	start := c - c%per
	for i := range n {
		clear(b)
		lo := start + i*per
		for j := max(lo, c); j < min(lo+per, c+used); j++ {
			setCount(b, im.h.refOrder, j-lo, 1)
		}
		if err := im.writeFull(b, (c+i)<<im.geo.clusterBits); err != nil {
			return err
		}
	}
	return nil
}

// growRefTable moves the reference count table to a longer one that lies from
// cluster c on, the first that the old one has no entry for, behind the blocks that
// count it. It returns the cluster at which the search for free ones goes on.
func (im *Image) growRefTable(c int64) (int64, error) {
	cs, per := im.h.clusterSize(), im.perBlock()
	first := c / per // entry of the first new block
	// Half as much again, and at least what the new blocks need.
	var blocks, clusters int64
	for want := first + first/2 + 1; ; want = first + blocks {
		clusters = (want*8 + cs - 1) / cs
		blocks = (c%per + clusters + blocks + per - 1) / per
		for (c%per+blocks+clusters+per-1)/per > blocks {
			blocks++
		}
		if first+blocks <= clusters*cs/8 {
			break
		}
	}
	if clusters*cs > maxRefTable {
		return c, fmt.Errorf("the image file cannot grow: its reference count table would have %d bytes, and %d are the most", clusters*cs, maxRefTable)
	}
	taken := make([]int64, blocks+clusters)
	for i := range taken {
		taken[i] = c + int64(i)
	}
	if err := im.checkOverlap(taken); err != nil {
		return c, im.fail(err)
	}
	if err := im.writeBlocks(c, blocks, blocks+clusters); err != nil {
		return c, err
	}
	table := make([]uint64, clusters*cs/8)
	copy(table, im.alloc.table)
	for i := range blocks {
		table[first+i] = uint64(c+i) << im.geo.clusterBits
	}
	off := (c + blocks) << im.geo.clusterBits
	if err := im.switchRefTable(table, off, clusters); err != nil {
		return c, err
	}
	return c + blocks + clusters, nil
}

// switchRefTable writes a reference count table to off and makes it the image's.
func (im *Image) switchRefTable(table []uint64, off, clusters int64) error {
	b := make([]byte, len(table)*8)
	for i, e := range table {
		binary.BigEndian.PutUint64(b[i*8:], e)
	}
	if err := im.grow(off>>im.geo.clusterBits + clusters); err != nil {
		return err
	}
	if err := im.writeFull(b, off); err != nil {
		return err
	}
	if err := im.sync.run(); err != nil {
		return err
	}
	var place [12]byte // both fields lie in one sector
	binary.BigEndian.PutUint64(place[:], uint64(off))
	binary.BigEndian.PutUint32(place[8:], uint32(clusters))
	if err := im.writeFull(place[:], 48); err != nil {
		return im.fail(err)
	}
	if err := im.sync.run(); err != nil { // before the old table is free
		return err
	}
	oldOff, oldClusters := im.h.refTableOff, im.h.refTableClusters
	im.alloc.table, im.h.refTableOff, im.h.refTableClusters = table, off, int(clusters)
	im.noteTables()
	for i := range oldClusters {
		c := oldOff>>im.geo.clusterBits + int64(i)
		if err := im.release(c); err != nil {
			return err
		}
	}
	return nil
}
