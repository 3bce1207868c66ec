package build

import (
	"fmt"

	"goxl/xenctrl/abi"
)

// Page table entries of a PV guest. The lowest level has no user bit, since the
// kernel's pages belong to the kernel. Source: tools/libs/guest/xg_dom_x86.c.
const (
	pteReadOnly = 0x21 // present, accessed
	pteLeaf     = 0x23 // and writable
	pteTable    = 0x67 // and user, dirty

	levels       = 4
	tableEntries = 512
	vaMask       = 1<<48 - 1
)

// span is a range of virtual addresses (of 48 bits), both ends included; a span
// with no tables covers nothing.
type span struct {
	from, to uint64
	first    abi.PFN // its tables, one after the other
	tables   uint64
}

func (s *span) has(va uint64) bool { return s.tables > 0 && va >= s.from && va <= s.to }

// mapping maps the virtual addresses from..to onto pages from pfn on. Its tables
// that no earlier mapping has already are contiguous, highest level first.
type mapping struct {
	from, to uint64 // both included
	pfn      abi.PFN
	level    [levels]span // [0] points at pages, [3] is the root
	tables   uint64       // all of them
}

// pageTables is the set of mappings that a PV guest starts with: one for the
// kernel and what lies behind it, perhaps one for its p2m list.
type pageTables struct {
	maps []mapping
}

// tableShift is by how many bits an entry of a table of this level shifts.
func tableShift(level int) uint { return abi.PageShift + 9*uint(level) }

// plan works out the tables for one more mapping, whose tables will start at
// page first. It changes nothing.
func (t *pageTables) plan(from, to uint64, pfn, first abi.PFN) (mapping, error) {
	if to <= from || signExtended(from) != signExtended(to) {
		return mapping{}, fmt.Errorf("virtual addresses %#x to %#x cannot be mapped", from, to)
	}
	m := mapping{from: from & vaMask, to: to & vaMask, pfn: pfn}
	for i := range t.maps {
		if m.from <= t.maps[i].to && m.to >= t.maps[i].from {
			return mapping{}, fmt.Errorf("virtual addresses %#x to %#x are mapped already", from, to)
		}
	}
	for l := levels - 1; l >= 0; l-- {
		s := &m.level[l]
		s.first = first + abi.PFN(m.tables)
		if l == levels-1 {
			if len(t.maps) == 0 { // there is one root
				s.to, s.tables = vaMask, 1
			}
		} else {
			mask := uint64(1)<<tableShift(l+1) - 1
			s.from, s.to = m.from&^mask, m.to|mask
			t.trim(s, l)
			if s.from < s.to {
				s.tables = (s.to-s.from)>>tableShift(l+1) + 1
			}
		}
		m.tables += s.tables
	}
	return m, nil
}

// signExtended tells the two usable halves of the address space, and what lies
// between, apart.
func signExtended(va uint64) uint64 { return va >> 47 }

// trim takes from s what tables of earlier mappings cover.
func (t *pageTables) trim(s *span, level int) {
	for i := range t.maps {
		c := &t.maps[i].level[level]
		switch {
		case c.tables == 0 || s.to < c.from || s.from > c.to:
		case s.from >= c.from && s.to <= c.to:
			s.from, s.to = 0, 0
			return
		case s.from < c.from:
			s.to = c.from - 1
		default:
			s.from = c.to + 1
		}
	}
}

func (t *pageTables) add(m mapping) { t.maps = append(t.maps, m) }

// root is the page of the top level table.
func (t *pageTables) root() abi.PFN { return t.maps[0].level[levels-1].first }

// isTable reports whether pfn is a page of these tables.
func (t *pageTables) isTable(pfn abi.PFN) bool {
	for i := range t.maps {
		first := t.maps[i].level[levels-1].first
		if pfn >= first && pfn < first+abi.PFN(t.maps[i].tables) {
			return true
		}
	}
	return false
}

// below returns the page that the entry for va in a table of this level points
// at: a table one level down, or the page mapped there.
func (t *pageTables) below(level int, va uint64) (abi.PFN, bool) {
	for i := range t.maps {
		m := &t.maps[i]
		if level == 0 {
			if va >= m.from && va <= m.to {
				return m.pfn + abi.PFN((va-m.from)>>abi.PageShift), true
			}
			continue
		}
		if s := &m.level[level-1]; s.has(va) {
			return s.first + abi.PFN((va-s.from)>>tableShift(level)), true
		}
	}
	return 0, false
}

// table is one page of the tables: where it lies and what it maps.
type table struct {
	pfn   abi.PFN
	level int
	va    uint64 // of its first entry
}

// list returns the tables of a mapping in order of their pages, which follow
// each other.
func (m *mapping) list() []table {
	var all []table
	for l := levels - 1; l >= 0; l-- {
		s := &m.level[l]
		for n := range s.tables {
			all = append(all, table{s.first + abi.PFN(n), l, s.from + n<<tableShift(l+1)})
		}
	}
	return all
}

// fill writes the entries of tb. mfn translates the guest's pages, all of which
// must exist.
func (t *pageTables) fill(tb table, mfn func(abi.PFN) abi.MFN, put func(i int, entry uint64)) {
	for i := range tableEntries {
		pfn, ok := t.below(tb.level, tb.va+uint64(i)<<tableShift(tb.level))
		if !ok {
			continue
		}
		flags := uint64(pteTable)
		switch {
		case tb.level == 0 && t.isTable(pfn):
			flags = pteReadOnly // or Xen would not take it as a table
		case tb.level == 0:
			flags = pteLeaf
		}
		put(i, uint64(mfn(pfn))<<abi.PageShift|flags)
	}
}
