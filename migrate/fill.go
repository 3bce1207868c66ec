package migrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"goxl/migrate/stream"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// pageBuffers are used again for every record.
type pageBuffers struct {
	missing []abi.PFN
	frames  []abi.GFN
	mfns    []abi.MFN
}

// pages puts the pages of a record where they belong, and makes those that are
// not there yet.
func (f *filler) pages(ctx context.Context, d *stream.PageData) error {
	if d.Verify {
		return f.compare(d)
	}
	if err := f.guest.admit(d); err != nil {
		return err
	}
	if err := f.drop(ctx, d); err != nil {
		return err
	}
	missing := f.page.missing[:0]
	for i, p := range d.PFNs {
		if t := d.Types[i]; (t.HasData() || t == stream.PageAlloc) && !f.guest.present(p) {
			missing = append(missing, p)
		}
	}
	f.page.missing = missing
	if err := f.populate(ctx, missing); err != nil {
		return err
	}
	return f.withPages(d, xenctrl.ProtReadWrite, func(i int, to, page []byte) error {
		if err := f.guest.incoming(ctx, d.Types[i], to, page); err != nil {
			return fmt.Errorf("page %#x (%s): %w", uint64(d.PFNs[i]), d.Types[i], err)
		}
		return nil
	})
}

// drop takes the pages back that were sent and are not there any more: the guest
// gave them to Xen while the others were on their way.
func (f *filler) drop(ctx context.Context, d *stream.PageData) error {
	frames := f.page.frames[:0]
	for i, p := range d.PFNs {
		if d.Types[i] == stream.PageNone && f.guest.present(p) {
			frames = append(frames, f.guest.frame(p))
			f.guest.dropped(p)
		}
	}
	f.page.frames = frames
	n, err := f.Xen.DecreaseReservation(ctx, f.Dom, frames, 0)
	if err == nil && n < len(frames) {
		err = fmt.Errorf("take back frame %#x, which the guest gave away: Xen refuses", uint64(frames[n]))
	}
	return err
}

// withPages maps the pages of d that have a content and calls fn with each.
func (f *filler) withPages(d *stream.PageData, prot xenctrl.Prot, fn func(i int, mem, page []byte) error) (err error) {
	frames := f.page.frames[:0]
	for i, p := range d.PFNs {
		if d.Types[i].HasData() {
			frames = append(frames, f.guest.frame(p))
		}
	}
	f.page.frames = frames
	if len(frames) == 0 {
		return nil
	}
	m, err := f.Xen.MapForeign(f.Dom, frames, prot)
	if err != nil {
		return err
	}
	err = m.With(func(mem []byte) (err error) {
		for i, page := range d.All {
			if page == nil {
				continue
			}
			if err = fn(i, mem[:abi.PageSize], page); err != nil {
				return err
			}
			mem = mem[abi.PageSize:]
		}
		return nil
	})
	return errors.Join(err, m.Close())
}

// compare counts the pages that are not as they are sent now.
func (f *filler) compare(d *stream.PageData) error {
	for i, p := range d.PFNs {
		if d.Types[i].HasData() && !f.guest.present(p) {
			return fmt.Errorf("page %#x is to be verified and was never sent", uint64(p))
		}
	}
	return f.withPages(d, xenctrl.ProtRead, func(i int, mem, page []byte) error {
		if d.Types[i] == stream.PageNormal && !bytes.Equal(mem, page) {
			f.in.Differing++
		}
		return nil
	})
}

// Orders of what is populated, and how many pages of 2 MiB has.
const (
	order2M = 9
	pages2M = 1 << order2M
)

// populate gives the domain memory for pages that have none; a page may stand in
// the list twice. Whole pieces of 2 MiB of a guest that Xen translates for are made
// in one: they are quicker for the guest, too.
func (f *filler) populate(ctx context.Context, at []abi.PFN) error {
	rest := at[:0]
	for len(at) > 0 {
		if n := run2M(at); n > 0 && f.guest.header() == stream.GuestHVM && !f.present2M(at[0]) {
			got, err := f.Xen.Populate(ctx, f.Dom, at[:1], order2M, 0, nil)
			if err != nil {
				return err
			}
			if got == 1 {
				f.guest.populated(at[:n], nil)
				at = at[n:]
				continue
			}
		}
		rest, at = append(rest, at[0]), at[1:]
	}
	return f.populateSmall(ctx, rest)
}

func (f *filler) populateSmall(ctx context.Context, at []abi.PFN) error {
	at = f.unseen(at)
	if len(at) == 0 {
		return nil
	}
	out := append(f.page.mfns[:0], make([]abi.MFN, len(at))...)
	f.page.mfns = out
	n, err := f.Xen.Populate(ctx, f.Dom, at, 0, 0, out)
	if err != nil {
		return err
	}
	f.guest.populated(at[:n], out[:n])
	if n < len(at) {
		return fmt.Errorf("allocate memory: Xen gave %d pages of the %d asked for: %w", n, len(at), xenctrl.ErrNoMemory)
	}
	return nil
}

// run2M is the length of a piece of 2 MiB that at begins with; 0: it does not.
func run2M(at []abi.PFN) int {
	if len(at) < pages2M || at[0]%pages2M != 0 {
		return 0
	}
	for i, p := range at[:pages2M] {
		if p != at[0]+abi.PFN(i) {
			return 0
		}
	}
	return pages2M
}

// present2M reports whether any page of the piece is there.
func (f *filler) present2M(p abi.PFN) bool {
	for i := range abi.PFN(pages2M) {
		if f.guest.present(p + i) {
			return true
		}
	}
	return false
}

// unseen drops pages that stand in the list before or have memory since it was
// made. A list that only rises, as those of every honest sender do, has none.
func (f *filler) unseen(at []abi.PFN) []abi.PFN {
	rising := true
	for i := 1; i < len(at); i++ {
		rising = rising && at[i] > at[i-1]
	}
	if rising {
		return at
	}
	seen := make(map[abi.PFN]bool, len(at))
	kept := at[:0]
	for _, p := range at {
		if !seen[p] && !f.guest.present(p) {
			seen[p] = true
			kept = append(kept, p)
		}
	}
	return kept
}

// clear empties a page of the guest's.
func (f *filler) clear(p abi.PFN) error {
	if !f.guest.present(p) {
		return fmt.Errorf("page %#x was not sent", uint64(p))
	}
	return f.change(f.guest.frame(p), func(b []byte) error { clear(b); return nil })
}

// change calls fn with a page of the domain's.
func (f *filler) change(frame abi.GFN, fn func(b []byte) error) error {
	m, err := f.Xen.MapForeign(f.Dom, []abi.GFN{frame}, xenctrl.ProtReadWrite)
	if err != nil {
		return err
	}
	return errors.Join(m.With(fn), m.Close())
}
