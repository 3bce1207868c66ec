package qcow2

// Bits of L1 and L2 entries.
const (
	flagCopied     = 1 << 63 // nothing else refers to the cluster
	flagCompressed = 1 << 62
	flagZero       = 1 // version 3, L2 only
	offsetMask     = 1<<56 - 1<<9
)

// kind is what a guest cluster is.
type kind uint8

const (
	unallocated kind = iota // the backing file's content, or zeroes
	zero
	data
	compressed
)

// mapping is an L2 entry, read.
type mapping struct {
	kind kind
	// copied says that the cluster is this entry's alone: it is written in place.
	copied bool
	// off is where the cluster lies in the file; with a zero cluster 0 or what is
	// kept for it.
	off int64
	// length is how many bytes a compressed cluster takes, at most: two clusters.
	length int
}

// geometry is what it takes to read an entry.
type geometry struct {
	clusterBits uint
	version     uint32
}

// decode reads the L2 entry e of an image file of end bytes, a multiple of the
// cluster size. Nothing that it returns lies beyond that.
func (g geometry) decode(e uint64, end int64) (mapping, error) {
	if e == 0 {
		return mapping{}, nil
	}
	if e&flagCompressed != 0 {
		return g.decodeCompressed(e, end)
	}
	m := mapping{kind: data, copied: e&flagCopied != 0, off: int64(e & offsetMask)}
	rest := e &^ (flagCopied | offsetMask)
	if rest == flagZero && g.version >= 3 {
		m.kind, rest = zero, 0
	}
	switch {
	case rest != 0:
		return mapping{}, corrupt("an L2 entry %#x with reserved bits", e)
	case m.off&(1<<g.clusterBits-1) != 0:
		return mapping{}, corrupt("an L2 entry %#x that is not aligned to clusters", e)
	case m.off >= end:
		return mapping{}, corrupt("an L2 entry %#x beyond the file's end at %#x", e, end)
	case m.off == 0 && (m.kind == data || m.copied):
		return mapping{}, corrupt("an L2 entry %#x that points to the header", e)
	}
	return m, nil
}

func (g geometry) decodeCompressed(e uint64, end int64) (mapping, error) {
	if e&flagCopied != 0 {
		return mapping{}, corrupt("an L2 entry %#x for a compressed cluster that is written in place", e)
	}
	x := 62 - (g.clusterBits - 8)
	off := int64(e & (1<<x - 1))
	sectors := int(e & (flagCompressed - 1) >> x)
	if off < 1<<g.clusterBits || off >= end {
		return mapping{}, corrupt("an L2 entry %#x for compressed data at %d of %d", e, off, end)
	}
	return mapping{kind: compressed, off: off, length: (sectors+1)*512 - int(off&511)}, nil
}

// tableOffset is where the L2 table of the L1 entry e lies, 0 for none.
func (g geometry) tableOffset(e uint64, end int64) (int64, error) {
	off := int64(e & offsetMask)
	switch {
	case e == 0:
		return 0, nil
	case e&^(flagCopied|offsetMask) != 0 || off&(1<<g.clusterBits-1) != 0:
		return 0, corrupt("an L1 entry %#x with reserved bits", e)
	case off >= end:
		return 0, corrupt("an L1 entry %#x beyond the file's end at %#x", e, end)
	case off == 0:
		return 0, corrupt("an L1 entry %#x that points to the header", e)
	}
	return off, nil
}
