package migrate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"goxl/migrate/stream"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// pvImage is a PV guest that is restored.
type pvImage struct {
	*filler
	top    abi.PFN   // the last page there may be
	leaves []abi.PFN // the pages that hold the guest's table of its pages
	known  map[abi.PFN]*pvPages
	vcpus  map[uint32]map[stream.Type][]byte
	table  [abi.PageSize]byte
	need   []abi.PFN
}

// pvPages is what is known of 512 pages, whose numbers have all but the low nine
// bits in common.
type pvPages struct {
	mfn  [perPage]abi.MFN
	here [perPage]bool
	typ  [perPage]stream.PageType
}

func newPVImage(f *filler) *pvImage {
	return &pvImage{filler: f, known: map[abi.PFN]*pvPages{}, vcpus: map[uint32]map[stream.Type][]byte{}}
}

func (g *pvImage) header() stream.GuestType { return stream.GuestPV }

func (g *pvImage) admit(d *stream.PageData) error {
	for i, p := range d.PFNs {
		if p > g.top {
			return fmt.Errorf("page %#x is beyond the guest's last, %#x", uint64(p), uint64(g.top))
		}
		if t := d.Types[i]; t.HasData() || t == stream.PageAlloc || g.known[p/perPage] != nil {
			g.of(p).typ[p%perPage] = t
		}
	}
	return nil
}

// of is what is known of a page and its neighbours. Pages beyond the last must not
// come here.
func (g *pvImage) of(p abi.PFN) *pvPages {
	c := g.known[p/perPage]
	if c == nil {
		c = new(pvPages)
		g.known[p/perPage] = c
	}
	return c
}

func (g *pvImage) present(p abi.PFN) bool {
	c := g.known[p/perPage]
	return c != nil && c.here[p%perPage]
}

func (g *pvImage) populated(at []abi.PFN, frames []abi.MFN) {
	for i, p := range at {
		c := g.of(p)
		c.mfn[p%perPage], c.here[p%perPage] = frames[i], true
	}
}

func (g *pvImage) dropped(p abi.PFN) { g.known[p/perPage].here[p%perPage] = false }

func (g *pvImage) frame(p abi.PFN) abi.GFN { return abi.GFN(g.known[p/perPage].mfn[p%perPage]) }

func (g *pvImage) incoming(ctx context.Context, t stream.PageType, to, page []byte) error {
	level := t.Level()
	if level == 0 {
		copy(to, page)
		return nil
	}
	copy(g.table[:], page)
	if err := g.populateNamed(ctx); err != nil {
		return err
	}
	if err := incomingTable(level, g.table[:], g.mfn); err != nil {
		return err
	}
	copy(to, g.table[:])
	return nil
}

// populateNamed makes the pages that a page table names and that did not come yet.
func (g *pvImage) populateNamed(ctx context.Context) error {
	g.need = g.need[:0]
	for i := range perPage {
		e := le.Uint64(g.table[i*8:])
		p := abi.PFN(e & pteFrame >> abi.PageShift)
		if e&ptePresent != 0 && p <= g.top && !g.present(p) {
			g.need = append(g.need, p)
		}
	}
	return g.populateSmall(ctx, g.need)
}

// mfn translates a page number that the stream names.
func (g *pvImage) mfn(p abi.PFN) (abi.MFN, error) {
	if p > g.top || !g.present(p) {
		return 0, fmt.Errorf("page %#x, of which the guest has no memory", uint64(p))
	}
	return abi.MFN(g.frame(p)), nil
}

// plain is mfn for a page that must not be a page table.
func (g *pvImage) plain(what string, p abi.PFN) (abi.MFN, error) {
	m, err := g.mfn(p)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	if t := g.of(p).typ[p%perPage]; t != stream.PageNormal {
		return 0, fmt.Errorf("%s: page %#x is of type %s", what, uint64(p), t)
	}
	return m, nil
}

func (g *pvImage) take(_ context.Context, b stream.Body) error {
	switch b := b.(type) {
	case *stream.PVInfo:
		if b.Width != 8 {
			return fmt.Errorf("a 32-bit PV guest: %w", errors.ErrUnsupported)
		}
		return g.Xen.SetAddressSize(g.Dom, 64)
	case *stream.P2MFrames:
		return g.layout(b)
	case *stream.SharedInfo:
		return g.sharedInfo(b)
	case *stream.VCPU:
		if int(b.ID) >= g.VCPUs {
			return fmt.Errorf("vcpu %d, and the guest has %d", b.ID, g.VCPUs)
		}
		if g.vcpus[b.ID] == nil {
			g.vcpus[b.ID] = map[stream.Type][]byte{}
		}
		g.vcpus[b.ID][b.Kind] = append([]byte(nil), b.Context...)
		return nil
	}
	return unexpected(b)
}

// layout notes where the guest has its table of pages, and thereby how many there
// may be.
func (g *pvImage) layout(b *stream.P2MFrames) error {
	if n := b.Frames.Len(); abi.Pages(n) > g.most {
		return fmt.Errorf("the table of the guest's pages takes %d pages, and the guest has %d in all", n, g.most)
	}
	if b.Start != 0 {
		return fmt.Errorf("the table of the guest's pages begins with page %#x", b.Start)
	}
	g.leaves = make([]abi.PFN, b.Frames.Len())
	g.top = abi.PFN(b.End)
	for done := 0; done < len(g.leaves); {
		n, err := b.Frames.Read(g.leaves[done:])
		if err != nil {
			return err
		}
		done += n
	}
	return nil
}

// sharedInfo takes over what the guest and Xen share, but for events that belong
// to the domain that was.
func (g *pvImage) sharedInfo(s *stream.SharedInfo) error {
	return g.change(g.shared, func(b []byte) error {
		const vcpus = sharedVCPUInfo * sharedLegacyVCPUs
		copy(b[:vcpus], s[:vcpus])
		for i := range sharedLegacyVCPUs {
			le.PutUint64(b[i*sharedVCPUInfo+sharedPendingSel:], 0)
		}
		clear(b[sharedPending:sharedMask])
		for i := sharedMask; i < 2*sharedMask-sharedPending; i++ {
			b[i] = 0xff
		}
		copy(b[sharedMaxPFN:sharedArchEnd], s[sharedMaxPFN:sharedArchEnd])
		le.PutUint64(b[sharedFrameList:], 0)
		return nil
	})
}

func (g *pvImage) finish(ctx context.Context) error {
	if g.vcpus[0] == nil {
		return errors.New("vcpu 0 is missing")
	}
	for _, id := range slices.Sorted(maps.Keys(g.vcpus)) {
		if err := g.startVCPU(id, g.vcpus[id]); err != nil {
			return fmt.Errorf("vcpu %d: %w", id, err)
		}
	}
	if err := g.pin(ctx); err != nil {
		return err
	}
	return g.putP2M(ctx)
}

// startVCPU gives a vcpu its state.
func (g *pvImage) startVCPU(id uint32, parts map[stream.Type][]byte) error {
	c := parts[stream.TypeVCPUBasic]
	if len(c) != abi.VCPUContextSize {
		return fmt.Errorf("its registers are missing")
	}
	if id == 0 {
		if err := g.startInfo(c); err != nil {
			return err
		}
	}
	if err := g.incomingContext(c); err != nil {
		return err
	}
	if err := g.Xen.SetVCPUContext(g.Dom, id, c); err != nil {
		return err
	}
	if ext := parts[stream.TypeVCPUExtended]; len(ext) > 0 {
		if len(ext) < 4 || le.Uint32(ext) != id {
			return errors.New("its extended state is of another vcpu")
		}
		if err := g.Xen.SetExtVCPUContext(g.Dom, ext); err != nil {
			return err
		}
	}
	if area := parts[stream.TypeVCPUXSave]; len(area) > 0 {
		if err := g.Xen.SetVCPUExtState(g.Dom, id, 0, area); err != nil {
			return err
		}
	}
	var msrs []abi.VCPUMSR
	for b := parts[stream.TypeVCPUMSRs]; len(b) >= abi.VCPUMSRSize; b = b[abi.VCPUMSRSize:] {
		msrs = append(msrs, abi.ParseVCPUMSR(b))
	}
	if len(msrs) == 0 {
		return nil
	}
	return g.Xen.SetVCPUMSRs(g.Dom, id, msrs)
}

// Offsets in the start info. Source: xen/include/public/xen.h.
const (
	startPages       = 32
	startShared      = 40
	startFlags       = 48
	startStore       = 56
	startStorePort   = 64
	startConsole     = 72
	startConsolePort = 80
)

// startInfo tells the guest what is new here: its rings and their ports. Its place
// is in vcpu 0's registers c.
func (g *pvImage) startInfo(c []byte) error {
	at, err := g.plain("the start info", abi.PFN(le.Uint64(c[ctxRDX:])))
	if err != nil {
		return err
	}
	le.PutUint64(c[ctxRDX:], uint64(at))
	return g.change(abi.GFN(at), func(b []byte) error {
		store, err := g.plain("the ring of xenstore", abi.PFN(le.Uint64(b[startStore:])))
		if err != nil {
			return err
		}
		console, err := g.plain("the ring of the console", abi.PFN(le.Uint64(b[startConsole:])))
		if err != nil {
			return err
		}
		g.store, g.console = abi.GFN(store), abi.GFN(console)
		le.PutUint64(b[startPages:], uint64(g.top)+1)
		le.PutUint64(b[startShared:], uint64(g.shared)<<abi.PageShift)
		le.PutUint32(b[startFlags:], 0)
		le.PutUint64(b[startStore:], uint64(store))
		le.PutUint32(b[startStorePort:], uint32(g.StorePort))
		le.PutUint64(b[startConsole:], uint64(console))
		le.PutUint32(b[startConsolePort:], uint32(g.ConsolePort))
		return nil
	})
}

// incomingContext replaces the page numbers in a vcpu's registers.
func (g *pvImage) incomingContext(c []byte) error {
	n, err := gdtFrames(c)
	if err != nil {
		return err
	}
	for i := range n {
		m, err := g.plain("the GDT", abi.PFN(le.Uint64(c[ctxGDT+8*i:])))
		if err != nil {
			return err
		}
		le.PutUint64(c[ctxGDT+8*i:], uint64(m))
	}
	root, err := g.root("cr3", le.Uint64(c[ctxCR3:]))
	if err != nil {
		return err
	}
	le.PutUint64(c[ctxCR3:], root)
	if user := le.Uint64(c[ctxCR1:]); user&1 != 0 {
		if root, err = g.root("the user's cr3", user&^1); err != nil {
			return err
		}
		le.PutUint64(c[ctxCR1:], root)
	}
	le.PutUint64(c[ctxFlags:], le.Uint64(c[ctxFlags:])|ctxOnline)
	return nil
}

// root translates a page table's address in cr3.
func (g *pvImage) root(what string, cr3 uint64) (uint64, error) {
	p := abi.PFN(cr3 >> abi.PageShift)
	m, err := g.mfn(p)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	if t := g.of(p).typ[p%perPage]; t.Level() != 4 {
		return 0, fmt.Errorf("%s: page %#x is of type %s, not a level 4 page table", what, uint64(p), t)
	}
	return uint64(m) << abi.PageShift, nil
}

// pin has Xen validate the page tables that the guest had pinned.
func (g *pvImage) pin(ctx context.Context) error {
	for _, at := range slices.Sorted(maps.Keys(g.known)) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		c := g.known[at]
		for i, t := range c.typ {
			if !c.here[i] || t.Level() == 0 || t&stream.Pinned == 0 {
				continue
			}
			if err := g.Xen.PinTable(g.Dom, t.Level(), c.mfn[i]); err != nil {
				return fmt.Errorf("page %#x: %w", uint64(at)*perPage+uint64(i), err)
			}
		}
	}
	return nil
}

// putP2M writes the guest's table of its pages.
func (g *pvImage) putP2M(ctx context.Context) error {
	const most = 1024
	for first := 0; first < len(g.leaves); first += most {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		batch := g.leaves[first:min(first+most, len(g.leaves))]
		frames := make([]abi.GFN, len(batch))
		for i, p := range batch {
			m, err := g.plain("the table of the guest's pages", p)
			if err != nil {
				return err
			}
			frames[i] = abi.GFN(m)
		}
		m, err := g.Xen.MapForeign(g.Dom, frames, xenctrl.ProtReadWrite)
		if err != nil {
			return err
		}
		err = m.With(func(b []byte) error {
			for i := range batch {
				g.putLeaf(b[i*abi.PageSize:][:abi.PageSize], abi.PFN(first+i))
			}
			return nil
		})
		if err = errors.Join(err, m.Close()); err != nil {
			return err
		}
	}
	return nil
}

// putLeaf writes the part of the table that is about the pages known as at.
func (g *pvImage) putLeaf(b []byte, at abi.PFN) {
	c := g.known[at]
	for i := range perPage {
		if at*perPage+abi.PFN(i) > g.top {
			return
		}
		v := uint64(noEntry)
		if c != nil && c.here[i] {
			v = uint64(c.mfn[i])
		}
		le.PutUint64(b[i*8:], v)
	}
}
