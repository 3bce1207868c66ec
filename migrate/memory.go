package migrate

import (
	"context"
	"fmt"
	"math/bits"

	"goxl/xenctrl/abi"
)

// Live says how a guest is moved while it runs. The zero value is the genuine
// tools' policy.
type Live struct {
	// MaxRounds is after how many rounds the guest is suspended at the latest;
	// 0: 5, as the genuine tools.
	MaxRounds int
	// FewPages is how few dirty pages are worth suspending for at once; 0: 50.
	FewPages abi.Pages
}

func (l *Live) rounds() int {
	if l.MaxRounds > 0 {
		return l.MaxRounds
	}
	return 5
}

func (l *Live) few() abi.Pages {
	if l.FewPages > 0 {
		return l.FewPages
	}
	return 50
}

// memory writes the guest's pages and suspends it on the way.
func (s *sender) memory(ctx context.Context) error {
	all := fullSet(s.guest.pages())
	if s.opts.Live == nil {
		if err := s.suspend(ctx); err != nil {
			return err
		}
		return s.sendAll(ctx, all)
	}
	return s.precopy(ctx, all)
}

// precopy sends all pages while the guest runs, then those that it wrote
// meanwhile, until few are left or there is no use in it; then the rest while it
// is suspended.
func (s *sender) precopy(ctx context.Context, dirty pageSet) error {
	xen := s.m.Xen()
	if err := s.logDirty(); err != nil {
		return err
	}
	defer xen.DisableLogDirty(s.id) // of a guest that is gone there is nothing to disable
	late := newSet(abi.Pages(len(dirty) * 8))
	s.sent.later = late.add
	for ; ; s.round++ {
		if err := s.sendAll(ctx, dirty); err != nil {
			return err
		}
		stats, err := xen.CleanDirty(s.id, dirty, false)
		if err != nil {
			return err
		}
		if abi.Pages(stats.Dirty) < s.opts.Live.few() || s.round+1 >= s.opts.Live.rounds() {
			break
		}
	}
	if err := s.suspend(ctx); err != nil {
		return err
	}
	last := newSet(abi.Pages(len(dirty) * 8))
	if _, err := xen.CleanDirty(s.id, last, true); err != nil {
		return err
	}
	last.or(dirty) // what the last round found
	last.or(late)
	s.sent.later = nil
	s.round++
	return s.sendAll(ctx, last)
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
