package vhdx

import (
	"encoding/binary"
	"fmt"
)

const (
	logSector  = 4096
	logHeader  = 64
	descriptor = 32
)

// patch is a piece of the file as the log wants it; without data, zeroes.
type patch struct {
	off, n int64
	data   []byte
}

// entry is one entry of the log.
type entry struct {
	sequence uint64
	n        int64 // bytes
	tail     int64 // where in the log the sequence begins that this entry ends
	flushed  int64 // how long the file must be
	patches  []patch
}

// replay reads a log and returns what its last valid sequence of entries changes, in
// order. A log without one changes nothing.
func replay(log []byte, id guid, fileSize int64) ([]patch, error) {
	entries, err := findEntries(log, id)
	if err != nil {
		return nil, err
	}
	var best []*entry
	for _, head := range entries {
		if best != nil && head.sequence < best[len(best)-1].sequence {
			continue
		}
		if s := sequence(entries, head, int64(len(log))); s != nil {
			best = s
		}
	}
	var all []patch
	for _, e := range best {
		if e.flushed > fileSize {
			return nil, corrupt("its log is for a file of %d bytes, and this one has %d", e.flushed, fileSize)
		}
		all = append(all, e.patches...)
	}
	return all, nil
}

// sequence is the chain of entries from the tail of head up to head, or nil.
func sequence(entries map[int64]*entry, head *entry, size int64) []*entry {
	var s []*entry
	for at := head.tail; len(s) <= len(entries); {
		e := entries[at]
		if e == nil || len(s) > 0 && e.sequence != s[len(s)-1].sequence+1 {
			return nil
		}
		s = append(s, e)
		if e == head {
			return s
		}
		at = (at + e.n) % size
	}
	return nil
}

// findEntries finds all valid entries of a log, by where they begin. What is not
// valid is what remains of older ones.
func findEntries(log []byte, id guid) (map[int64]*entry, error) {
	size := int64(len(log))
	twice := append(log, log...) // the log is a ring
	entries := map[int64]*entry{}
	budget := 8 * size // entries that overlap are a trap: each byte is summed up a few times
	for at := int64(0); at < size; at += logSector {
		n := int64(binary.LittleEndian.Uint32(twice[at+8:]))
		if string(twice[at:at+4]) != "loge" || n < logSector || n > size || n%logSector != 0 {
			continue
		}
		if budget -= n; budget < 0 {
			return nil, corrupt("its log has entries that overlap")
		}
		if e := parseEntry(twice[at:at+n], id, size); e != nil {
			entries[at] = e
		}
	}
	return entries, nil
}

// parseEntry is the entry in b, or nil if it is not valid.
func parseEntry(b []byte, id guid, size int64) *entry {
	le := binary.LittleEndian
	e := &entry{
		n: int64(len(b)), tail: int64(le.Uint32(b[12:])), sequence: le.Uint64(b[16:]),
		flushed: int64(le.Uint64(b[48:]) &^ (1 << 63)),
	}
	count := int64(le.Uint32(b[24:]))
	if guid(b[32:48]) != id || e.tail%logSector != 0 || e.tail >= size || e.sequence == 0 || !sumHolds(b) {
		return nil
	}
	// Descriptors fill whole sectors; the sectors with data follow.
	data := (logHeader + count*descriptor + logSector - 1) / logSector * logSector
	if count > int64(len(b))/descriptor || data > e.n {
		return nil
	}
	for i := range count {
		d := b[logHeader+i*descriptor:][:descriptor]
		p, ok := parseDescriptor(d, b, &data)
		if !ok || le.Uint64(d[24:]) != e.sequence {
			return nil
		}
		e.patches = append(e.patches, p)
	}
	return e
}

// parseDescriptor reads a descriptor of the entry b, whose next data sector lies at
// *data.
func parseDescriptor(d, b []byte, data *int64) (patch, bool) {
	le := binary.LittleEndian
	off := le.Uint64(d[16:])
	if off%logSector != 0 || off > 1<<61 {
		return patch{}, false
	}
	switch string(d[:4]) {
	case "zero":
		n := le.Uint64(d[8:])
		return patch{off: int64(off), n: int64(n)}, n%logSector == 0 && n <= 1<<61
	case "desc":
		if *data+logSector > int64(len(b)) {
			return patch{}, false
		}
		s := b[*data : *data+logSector]
		*data += logSector
		seq := le.Uint64(d[24:])
		if string(s[:4]) != "data" || le.Uint32(s[4:]) != uint32(seq>>32) || le.Uint32(s[4092:]) != uint32(seq) {
			return patch{}, false
		}
		p := make([]byte, logSector)
		copy(p, d[8:16])       // the bytes that the sector's own fields
		copy(p[8:], s[8:4092]) // have taken stand in the descriptor
		copy(p[4092:], d[4:8])
		return patch{int64(off), logSector, p}, true
	}
	return patch{}, false
}

// apply changes b, which was read from off of the file, as the log wants it.
func apply(patches []patch, b []byte, off int64) {
	end := off + int64(len(b))
	for _, p := range patches {
		from, to := max(off, p.off), min(end, p.off+p.n)
		if from >= to {
			continue
		}
		if p.data == nil {
			clear(b[from-off : to-off])
		} else {
			copy(b[from-off:to-off], p.data[from-p.off:])
		}
	}
}

// readLog reads and replays the log that a header names.
func (im *Image) readLog(h *header, fileSize int64) error {
	if h.log == (guid{}) {
		return nil
	}
	if h.logOff > fileSize || h.logLength > fileSize-h.logOff {
		return corrupt("its log lies beyond the end of the file")
	}
	log := make([]byte, h.logLength)
	if _, err := im.r.ReadAt(log, h.logOff); err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	var err error
	im.patches, err = replay(log, h.log, fileSize)
	return err
}
