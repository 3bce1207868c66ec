package migrate

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// memory writes the guest's pages and suspends it on the way.
func (s *sender) memory(ctx context.Context) error {
	all := fullSet(s.guest.pages())
	if s.opts.Live == nil {
		if err := s.suspend(ctx); err != nil {
			return err
		}
		return s.sendRest(ctx, all)
	}
	return s.precopy(ctx, all)
}

// precopy sends all pages while the guest runs, then those that it wrote
// meanwhile, for as long as that is of use; then the rest while it is suspended.
// Xen starts a new record of what is written with each reading of the old one, so
// a page is in the last reading, or was written by the guest after it, or both.
func (s *sender) precopy(ctx context.Context, dirty pageSet) (err error) {
	if err := s.logDirty(); err != nil {
		return err
	}
	defer func() { err = s.endLogDirty(err) }()
	late := newSet(dirty.room())
	s.sent.later, s.sent.told = late.add, newSet(dirty.room())
	slow := &throttle{s: s, keep: 100}
	defer slow.end()
	if err := s.rounds(ctx, dirty, slow); err != nil {
		return err
	}
	if err := s.suspend(ctx); err != nil {
		return err
	}
	slow.end() // while it is slow it writes less until it is suspended
	last := newSet(dirty.room())
	if err := s.readDirty(last, true); err != nil {
		return err
	}
	last.or(dirty) // what the last round found
	last.or(late)
	s.sent.later = nil
	s.round++
	return s.sendRest(ctx, last)
}

// rounds sends while the guest runs, for as long as that is of use. Dirty is what is
// to be sent, then what is left.
func (s *sender) rounds(ctx context.Context, dirty pageSet, slow *throttle) error {
	for done := []round(nil); ; s.round++ {
		r, err := s.sendRound(ctx, dirty)
		if err != nil {
			return err
		}
		if done = append(done, r); s.opts.Live.enough(done, slow.keep) {
			return s.lastRound(ctx, dirty)
		}
		if err := s.moreOfDisks(ctx); err != nil {
			return err
		}
		if err := slow.to(ctx, s.opts.Live.keep(r, slow.keep)); err != nil {
			return err
		}
	}
}

// lastRound has the disks catch up, and the memory after that, if the guest has written
// much to them while its memory was sent.
func (s *sender) lastRound(ctx context.Context, dirty pageSet) error {
	behind, err := s.disksBehind(ctx)
	if err != nil || !behind {
		return err
	}
	if err := s.moreOfDisks(ctx); err != nil {
		return err
	}
	s.round++
	_, err = s.sendRound(ctx, dirty)
	return err
}

// sendRest sends pages of the guest that is suspended.
func (s *sender) sendRest(ctx context.Context, set pageSet) error {
	defer elapsed(&s.time.Memory)()
	before := s.sent.sent
	err := s.sendAll(ctx, set)
	s.time.Rest = s.sent.sent - before
	return err
}

// sendRound sends the pages of a set and replaces it by those that the guest wrote
// since it was read.
func (s *sender) sendRound(ctx context.Context, dirty pageSet) (round, error) {
	r := round{sent: dirty.len()}
	begin, before := time.Now(), s.sent.sent
	if err := s.sendAll(ctx, dirty); err != nil {
		return r, err
	}
	r.took = time.Since(begin)
	if err := s.readDirty(dirty, false); err != nil {
		return r, err
	}
	r.dirty = dirty.len()
	s.time.Rounds = append(s.time.Rounds, Round{s.sent.sent - before, r.took, r.dirty})
	return r, s.guest.check()
}

// readDirty replaces a set by what the guest wrote since the last reading.
func (s *sender) readDirty(set pageSet, final bool) error {
	stats, err := s.m.Xen().CleanDirty(s.id, set, final)
	if err == nil && abi.Pages(stats.Pages) < s.guest.pages() {
		return fmt.Errorf("Xen told of %d pages what the guest wrote, and there are %d", stats.Pages, s.guest.pages())
	}
	return err
}

// logDirty has Xen note what the guest writes. Something may have left it on.
func (s *sender) logDirty() error {
	xen := s.m.Xen()
	first := xen.EnableLogDirty(s.id)
	if first == nil {
		return nil
	}
	if err := xen.DisableLogDirty(s.id); err == nil && xen.EnableLogDirty(s.id) == nil {
		return nil
	}
	return fmt.Errorf("this Xen cannot note what the guest writes, so the guest cannot be moved while it runs: %w", first)
}

// endLogDirty ends that: a guest of which writes are noted is slow. It joins err.
func (s *sender) endLogDirty(err error) error {
	off := s.m.Xen().DisableLogDirty(s.id)
	if off == nil || err == nil || errors.Is(off, xenctrl.ErrNoDomain) {
		return err // of a guest that was sent nobody minds, and the next migration ends it first
	}
	return errors.Join(err, fmt.Errorf("the guest stays slow, Xen goes on to note what it writes: %w", off))
}

// sendAll sends the pages of a set.
func (s *sender) sendAll(ctx context.Context, set pageSet) error {
	total, done := set.len(), abi.Pages(0)
	err := set.each(func(p abi.PFN) error {
		done++
		if !s.sent.add(p) {
			return nil
		}
		s.report(done, total)
		return s.sent.send(ctx, s)
	})
	if err == nil && len(s.sent.pfns) > 0 {
		err = s.sent.send(ctx, s)
	}
	s.report(total, total)
	return err
}

func (s *sender) report(done, total abi.Pages) {
	if s.opts.Progress != nil {
		s.opts.Progress(Progress{Round: s.round, Done: done, Total: total, Bytes: s.w.Offset()})
	}
}

// pageSet is a set of pages, a bit each from page 0 on, as Xen's dirty bitmap.
type pageSet []byte

// room is how many pages may be in the set.
func (s pageSet) room() abi.Pages { return abi.Pages(len(s)) * 8 }

// newSet is an empty set of n pages, rounded up to whole words.
func newSet(n abi.Pages) pageSet { return make(pageSet, (n+63)/64*8) }

// fullSet is the set of the pages below n.
func fullSet(n abi.Pages) pageSet {
	s := newSet(n)
	for i := range s[:n/8] {
		s[i] = 0xff
	}
	for p := n / 8 * 8; p < n; p++ {
		s.add(abi.PFN(p))
	}
	return s
}

func (s pageSet) add(p abi.PFN) {
	if i := p / 8; i < abi.PFN(len(s)) {
		s[i] |= 1 << (p % 8)
	}
}

func (s pageSet) has(p abi.PFN) bool {
	i := p / 8
	return i < abi.PFN(len(s)) && s[i]>>(p%8)&1 != 0
}

func (s pageSet) or(t pageSet) {
	for i := range s {
		s[i] |= t[i]
	}
}

func (s pageSet) len() (n abi.Pages) {
	for _, b := range s {
		n += abi.Pages(bits.OnesCount8(b))
	}
	return n
}

// each calls f with each page, lowest first.
func (s pageSet) each(f func(abi.PFN) error) error {
	for i, b := range s {
		for ; b != 0; b &= b - 1 {
			if err := f(abi.PFN(i*8 + bits.TrailingZeros8(b))); err != nil {
				return err
			}
		}
	}
	return nil
}
