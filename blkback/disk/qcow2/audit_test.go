package qcow2

import (
	"encoding/binary"
	"fmt"
)

// audit looks over an image as qemu-img check does: every cluster that is used must
// count as used often enough, and a cluster that is written in place must be used
// once. It returns how many clusters leak. It is quick, so that every step of an
// operation can be judged; TestCrash has QEMU judge a part of them too.
func audit(b []byte) (leaks int, err error) {
	h, err := parseHeader(b[:min(len(b), maxHeader)], int64(len(b)))
	if err != nil {
		return 0, err
	}
	a := &auditor{b: b, h: h, geo: geometry{h.clusterBits, h.version}, uses: map[int64]uint64{}}
	cs := h.clusterSize()
	a.use(0, cs)
	a.use(h.refTableOff, int64(h.refTableClusters)*cs)
	for i := range int64(h.refTableClusters) * cs / 8 {
		if e := a.word(h.refTableOff + i*8); e != 0 {
			a.use(int64(e), cs)
		}
	}
	if err := a.table(h.l1Off, h.l1Entries, true); err != nil {
		return 0, err
	}
	if err := a.snapshots(); err != nil {
		return 0, err
	}
	for c := range roundUp(int64(len(b)), cs) / cs {
		switch have, used := a.count(c), a.uses[c]; {
		case have < used:
			return 0, fmt.Errorf("cluster %d is used %d times and counts %d", c, used, have)
		case have > used:
			leaks++
		}
	}
	return leaks, a.checkCopied()
}

type auditor struct {
	b      []byte
	h      *header
	geo    geometry
	uses   map[int64]uint64
	copied []int64 // clusters that are marked as used once
}

func (a *auditor) word(off int64) uint64 {
	if off+8 > int64(len(a.b)) {
		return 0
	}
	return binary.BigEndian.Uint64(a.b[off:])
}

func (a *auditor) use(off, n int64) {
	for c := off >> a.h.clusterBits; c<<a.h.clusterBits < off+n; c++ {
		a.uses[c]++
	}
}

func (a *auditor) end() int64 { return roundUp(int64(len(a.b)), a.h.clusterSize()) }

func (a *auditor) count(c int64) uint64 {
	per := a.h.clusterSize() * 8 >> a.h.refOrder
	if c/per >= int64(a.h.refTableClusters)*a.h.clusterSize()/8 {
		return 0
	}
	block := int64(a.word(a.h.refTableOff + c/per*8))
	if block == 0 || block+a.h.clusterSize() > int64(len(a.b)) {
		return 0
	}
	return getCount(a.b[block:], a.h.refOrder, c%per)
}

// table follows an L1 table.
func (a *auditor) table(off int64, entries int, active bool) error {
	a.use(off, int64(entries)*8)
	for i := range int64(entries) {
		e := a.word(off + i*8)
		l2, err := a.geo.tableOffset(e, a.end())
		if err != nil {
			return err
		}
		if l2 == 0 {
			continue
		}
		a.use(l2, a.h.clusterSize())
		if active && e&flagCopied != 0 {
			a.copied = append(a.copied, l2>>a.h.clusterBits)
		}
		for j := range a.h.clusterSize() / 8 {
			e := a.word(l2 + j*8)
			m, err := a.geo.decode(e, a.end())
			if err != nil {
				return err
			}
			switch {
			case m.off == 0:
			case m.kind == compressed:
				a.use(m.off, int64(m.length))
			default:
				a.use(m.off, a.h.clusterSize())
			}
			if active && m.copied {
				a.copied = append(a.copied, m.off>>a.h.clusterBits)
			}
		}
	}
	return nil
}

func (a *auditor) snapshots() error {
	be := binary.BigEndian
	off := int64(be.Uint64(a.b[64:]))
	start := off
	for range be.Uint32(a.b[60:]) {
		s := a.b[off:]
		if err := a.table(int64(be.Uint64(s)), int(be.Uint32(s[8:])), false); err != nil {
			return err
		}
		off += roundUp(40+int64(be.Uint16(s[12:]))+int64(be.Uint16(s[14:]))+int64(be.Uint32(s[36:])), 8)
	}
	a.use(start, off-start)
	return nil
}

func (a *auditor) checkCopied() error {
	for _, c := range a.copied {
		if n := a.count(c); n != 1 {
			return fmt.Errorf("cluster %d is written in place and counts %d", c, n)
		}
	}
	return nil
}
