package migrate

import (
	"context"
	"errors"
	"fmt"

	"goxl/migrate/stream"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// errInFlux is a page table that names a frame which is none of the guest's. While
// the guest runs, that passes.
var errInFlux = errors.New("it cannot be translated")

// batch sends pages, up to a record's worth at a time. Its buffers live as long as
// the sender, so that a page costs no allocation.
type batch struct {
	pfns   []abi.PFN
	words  []uint64 // frames, then their type words
	types  []stream.PageType
	frames []abi.GFN // those to be mapped
	parts  [][]byte
	tables []byte // copies of page tables
	gone   []abi.PFN

	sent abi.Pages // of which the contents went out, so far
	// told are the pages that the receiver has heard of; nil when nobody keeps count.
	told pageSet
	// later takes pages that could not be sent now; nil when the guest does not
	// run and every page must be sent.
	later func(abi.PFN)
}

// add puts a page into the batch and reports whether the batch is full.
func (b *batch) add(p abi.PFN) (full bool) {
	b.pfns = append(b.pfns, p)
	return len(b.pfns) == stream.MaxPages
}

// send sends the batch and empties it.
func (b *batch) send(ctx context.Context, s *sender) error {
	defer func() { b.pfns = b.pfns[:0] }()
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if err := b.sort(s); err != nil || len(b.pfns) == 0 {
		return err
	}
	if len(b.frames) == 0 {
		return b.put(s)
	}
	m, failed, err := s.m.Xen().MapForeignSome(s.id, b.frames, xenctrl.ProtRead)
	if err != nil {
		return err
	}
	err = m.With(func(mem []byte) error { return b.write(s, mem, failed) })
	return errors.Join(err, m.Close())
}

// sort asks Xen what the pages are and leaves those of which something is to be
// said, with their types; frames are those that have a content.
func (b *batch) sort(s *sender) error {
	there := b.pfns[:0]
	b.words, b.types, b.frames, b.gone = b.words[:0], b.types[:0], b.frames[:0], b.gone[:0]
	for _, p := range b.pfns {
		if f, ok := s.guest.frame(p); ok {
			there, b.words = append(there, p), append(b.words, uint64(f))
			b.frames = append(b.frames, f)
		} else {
			b.absent(s, p)
		}
	}
	if err := s.m.Xen().PageTypes(s.id, b.words); err != nil {
		return err
	}
	all := b.frames
	b.frames = b.frames[:0]
	kept := there[:0]
	for i, p := range there {
		t := stream.PageType(b.words[i] & abi.FrameTypeMask >> 28)
		switch {
		case !t.Valid():
			return fmt.Errorf("page %#x: Xen reports the unknown type %#x", uint64(p), uint8(t))
		case t == stream.PageNone:
			b.absent(s, p)
			continue
		case t.HasData():
			b.frames = append(b.frames, all[i])
		}
		kept, b.types = append(kept, p), append(b.types, t)
	}
	for _, p := range b.gone {
		kept, b.types = append(kept, p), append(b.types, stream.PageNone)
	}
	b.pfns = kept
	return nil
}

// absent puts off a page that is not there now, unless it lies where the guest has
// no memory of its own: then only the record of what it writes tells of it, as it
// does for the genuine tools. Of a guest that does not run a page is not there at
// all, which has to be said when the receiver has heard of it. As with the genuine
// tools nobody notices that the guest gave a page away which it did not write
// before: the page then moves with it.
func (b *batch) absent(s *sender, p abi.PFN) {
	known := b.told.has(p)
	switch {
	case b.later != nil:
		if known || s.guest.mayAppear(p) {
			b.later(p)
		}
	case known:
		b.gone = append(b.gone, p)
	}
}

// write writes the record of the batch, whose contents are mapped one behind the
// other in mem.
func (b *batch) write(s *sender, mem []byte, failed []error) error {
	b.parts, b.tables = b.parts[:0], b.tables[:0]
	pfns, types, run := b.pfns[:0], b.types[:0], 0 // run: bytes of mem that wait to become a part
	n := 0
	for i, p := range b.pfns {
		t := b.types[i]
		if !t.HasData() {
			pfns, types = append(pfns, p), append(types, t)
			continue
		}
		at := n * abi.PageSize
		n++
		out, err := []byte(nil), failed[n-1]
		if err == nil {
			out, err = s.guest.outgoing(t, mem[at:at+abi.PageSize], b.scratch())
		}
		if err == nil && &out[0] == &mem[at] {
			pfns, types, run = append(pfns, p), append(types, t), run+abi.PageSize
			continue
		}
		if run > 0 {
			b.parts, run = append(b.parts, mem[at-run:at]), 0
		}
		switch {
		case err == nil:
			pfns, types, b.parts = append(pfns, p), append(types, t), append(b.parts, out)
		case b.later != nil && (errors.Is(err, errInFlux) || failed[n-1] != nil):
			b.later(p) // ballooned out meanwhile, or a page table half written
		default:
			return fmt.Errorf("page %#x (%s): %w", uint64(p), t, err)
		}
	}
	if run > 0 {
		end := n * abi.PageSize
		b.parts = append(b.parts, mem[end-run:end])
	}
	b.pfns, b.types = pfns, types
	if len(pfns) == 0 {
		return nil
	}
	return b.put(s, b.parts...)
}

// put writes the record.
func (b *batch) put(s *sender, parts ...[]byte) error {
	for i, p := range b.pfns {
		if b.types[i] != stream.PageNone {
			b.told.add(p)
		}
		if b.types[i].HasData() {
			b.sent++
		}
	}
	return s.w.WritePages(b.pfns, b.types, parts...)
}

// scratch is room for one more copy of a page, which stays until the next batch.
func (b *batch) scratch() []byte {
	if cap(b.tables) == 0 {
		b.tables = make([]byte, 0, stream.MaxPages*abi.PageSize)
	}
	n := len(b.tables)
	b.tables = b.tables[:n+abi.PageSize]
	return b.tables[n:]
}
