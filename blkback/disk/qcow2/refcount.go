package qcow2

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
)

// refCache is how many slices of reference count blocks are kept in memory.
const refCache = 16

// allocator holds the reference counts and the reserve of clusters.
type allocator struct {
	mu sync.Mutex

	table []uint64 // the reference count table
	// blocks are slices of reference count blocks, by offset in the file; dirty ones
	// have been changed and not written.
	blocks map[int64]*refSlice
	clock  uint64

	reserve []int64 // offsets of clusters: count one and zeroes, on the medium
	batch   int     // how many were reserved last time
	limit   int     // bytes to reserve at a time
	hint    int64   // no cluster before this one is free

	unflushed []int64 // clusters whose last use is a change of mapping not yet flushed
}

type refSlice struct {
	b     []byte
	dirty bool
	used  uint64
}

func (im *Image) readRefTable() error {
	n := im.h.refTableClusters << im.h.clusterBits / 8
	table, err := im.readTable("reference count table", im.h.refTableOff, n)
	im.alloc.table, im.alloc.blocks = table, map[int64]*refSlice{}
	return err
}

// perBlock is how many clusters one reference count block is for.
func (im *Image) perBlock() int64 { return im.h.clusterSize() * 8 >> im.h.refOrder }

// refPlace is where the count of a cluster stands: a slice of a block and the index
// within; off is 0 where there is no block. The caller holds alloc.mu.
func (im *Image) refPlace(cluster int64) (off int64, index int64, err error) {
	t, i := cluster/im.perBlock(), cluster%im.perBlock()
	if t >= int64(len(im.alloc.table)) || im.alloc.table[t] == 0 {
		return 0, 0, nil
	}
	block := im.alloc.table[t]
	if block&uint64(im.h.clusterSize()-1) != 0 || block >= uint64(im.end.Load()) {
		return 0, 0, corrupt("entry %d of the reference count table is %#x", t, block)
	}
	perSlice := int64(sliceSize(im.h)) * 8 >> im.h.refOrder
	return int64(block) + i/perSlice*int64(sliceSize(im.h)), i % perSlice, nil
}

// refSlice reads a slice of a reference count block through the cache.
func (im *Image) refSlice(off int64) (*refSlice, error) {
	a := &im.alloc
	a.clock++
	if s := a.blocks[off]; s != nil {
		s.used = a.clock
		return s, nil
	}
	var s *refSlice
	if len(a.blocks) >= refCache {
		var err error
		if s, err = im.evictRef(); err != nil {
			return nil, err
		}
	} else {
		s = &refSlice{b: make([]byte, sliceSize(im.h))}
	}
	if err := im.readFull(s.b, off); err != nil {
		return nil, fmt.Errorf("reference counts: %w", err)
	}
	s.used = a.clock
	a.blocks[off] = s
	return s, nil
}

// evictRef takes the slice that was used longest ago out of the cache.
func (im *Image) evictRef() (*refSlice, error) {
	a := &im.alloc
	var off int64
	for o, s := range a.blocks {
		if off == 0 || s.used < a.blocks[off].used {
			off = o
		}
	}
	s := a.blocks[off]
	if s.dirty {
		if err := im.writeFull(s.b, off); err != nil {
			return nil, err
		}
		s.dirty = false
	}
	delete(a.blocks, off)
	return s, nil
}

// refcount is how often a cluster is used.
func (im *Image) refcount(cluster int64) (uint64, error) {
	off, i, err := im.refPlace(cluster)
	if err != nil || off == 0 {
		return 0, err
	}
	s, err := im.refSlice(off)
	if err != nil {
		return 0, err
	}
	return getCount(s.b, im.h.refOrder, i), nil
}

// setRefcount changes a count in memory; writeRefs writes it.
func (im *Image) setRefcount(cluster int64, n uint64) error {
	off, i, err := im.refPlace(cluster)
	if err != nil {
		return err
	}
	if off == 0 {
		return corrupt("cluster %d is used and has no reference count", cluster)
	}
	s, err := im.refSlice(off)
	if err != nil {
		return err
	}
	setCount(s.b, im.h.refOrder, i, n)
	s.dirty = true
	return nil
}

// writeRefs writes all changed counts, without a flush.
func (im *Image) writeRefs() error {
	var offs []int64
	for off, s := range im.alloc.blocks {
		if s.dirty {
			offs = append(offs, off)
		}
	}
	slices.Sort(offs)
	for _, off := range offs {
		s := im.alloc.blocks[off]
		if err := im.writeFull(s.b, off); err != nil {
			return err
		}
		s.dirty = false
	}
	return nil
}

// getCount reads count i of a block of counts of 2^order bits. Those of less than a
// byte start at the least significant bit.
func getCount(b []byte, order uint, i int64) uint64 {
	switch order {
	case 3:
		return uint64(b[i])
	case 4:
		return uint64(binary.BigEndian.Uint16(b[i*2:]))
	case 5:
		return uint64(binary.BigEndian.Uint32(b[i*4:]))
	case 6:
		return binary.BigEndian.Uint64(b[i*8:])
	}
	bits := int64(1) << order
	return uint64(b[i*bits/8]) >> (i * bits % 8) & (1<<bits - 1)
}

func setCount(b []byte, order uint, i int64, n uint64) {
	switch order {
	case 3:
		b[i] = byte(n)
	case 4:
		binary.BigEndian.PutUint16(b[i*2:], uint16(n))
	case 5:
		binary.BigEndian.PutUint32(b[i*4:], uint32(n))
	case 6:
		binary.BigEndian.PutUint64(b[i*8:], n)
	default:
		bits := int64(1) << order
		shift, mask := i*bits%8, byte(1<<bits-1)
		p := &b[i*bits/8]
		*p = *p&^(mask<<shift) | byte(n)&mask<<shift
	}
}
