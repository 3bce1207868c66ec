package migrate

import (
	"encoding/binary"
	"errors"
	"fmt"

	"goxl/migrate/stream"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

var le = binary.LittleEndian

// pvGuest is a paravirtual guest. Its page tables, and what Xen and it share,
// name machine frames, which mean nothing elsewhere: on the way out they become
// page numbers of the guest's own.
type pvGuest struct {
	xen    *xenctrl.Handle
	id     abi.DomID
	shared *xenctrl.Mapping // shared info
	p2m    *xenctrl.Mapping // the guest's table from pfn to mfn, read-only
	m2p    *xenctrl.Mapping // Xen's table of all frames
	top    abi.PFN          // the last entry of p2m
	leaves []abi.GFN        // the frames that p2m is in
	gen    uint64           // p2m_generation when it was found
}

// Offsets in the shared info of a 64-bit guest. Source:
// xen/include/public/xen.h and arch-x86/xen.h, struct arch_shared_info.
const (
	sharedPending     = 2048 // evtchn_pending
	sharedMask        = 2560 // evtchn_mask
	sharedMaxPFN      = 3088
	sharedFrameList   = 3096 // pfn_to_mfn_frame_list_list
	sharedArchEnd     = 3088 + 48
	sharedVCPUInfo    = 64 // bytes of each of the 32 vcpu_info
	sharedLegacyVCPUs = 32
	sharedPendingSel  = 8 // in vcpu_info
)

// perPage is how many entries of eight bytes a page has.
const perPage = abi.PageSize / 8

func openPV(xen *xenctrl.Handle, id abi.DomID) (_ *pvGuest, err error) {
	g := &pvGuest{xen: xen, id: id}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close())
		}
	}()
	bits, err := xen.AddressSize(id)
	if err != nil {
		return nil, err
	}
	if bits != 64 {
		return nil, fmt.Errorf("a PV guest of %d bits: %w", bits, errors.ErrUnsupported)
	}
	info, err := xen.DomainInfo(id)
	if err != nil {
		return nil, err
	}
	if g.shared, err = xen.MapForeign(id, []abi.GFN{info.SharedInfoFrame}, xenctrl.ProtRead); err != nil {
		return nil, fmt.Errorf("map shared info: %w", err)
	}
	if g.m2p, err = mapM2P(xen); err != nil {
		return nil, fmt.Errorf("map Xen's table of frames: %w", err)
	}
	if err := g.findP2M(info.Pages); err != nil {
		return nil, fmt.Errorf("the guest's table of its pages: %w", err)
	}
	return g, nil
}

// mapM2P maps the table from mfn to pfn, which Xen keeps for the whole machine.
func mapM2P(xen *xenctrl.Handle) (*xenctrl.Mapping, error) {
	const chunk = 2 << 20 >> abi.PageShift
	starts, err := xen.MachphysFrames()
	if err != nil {
		return nil, err
	}
	frames := make([]abi.GFN, 0, len(starts)*chunk)
	for _, f := range starts {
		for i := range abi.GFN(chunk) {
			frames = append(frames, f+i)
		}
	}
	return xen.MapForeign(abi.DomXen, frames, xenctrl.ProtRead)
}

func (g *pvGuest) close() error {
	var errs []error
	for _, m := range []*xenctrl.Mapping{g.shared, g.p2m, g.m2p} {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	return errors.Join(errs...)
}

func (g *pvGuest) header() stream.GuestType { return stream.GuestPV }

func (g *pvGuest) info(w *stream.Writer) error {
	return w.Write(&stream.PVInfo{Width: 8, Levels: 4})
}

func (g *pvGuest) layout(w *stream.Writer) error {
	list := make([]abi.PFN, len(g.leaves))
	for i, f := range g.leaves {
		p, ok := g.pfn(abi.MFN(f))
		if !ok {
			return fmt.Errorf("the guest's table of its pages is in frame %#x, which is none of its pages", uint64(f))
		}
		list[i] = p
	}
	return w.Write(&stream.P2MFrames{Start: 0, End: uint32(g.top), Frames: stream.PFNs(list)})
}

func (g *pvGuest) pages() abi.Pages { return abi.Pages(g.top) + 1 }

func (g *pvGuest) frame(p abi.PFN) (abi.GFN, bool) {
	m, ok := g.mfn(p)
	return abi.GFN(m), ok
}

// mfn looks a page up in the guest's table.
func (g *pvGuest) mfn(p abi.PFN) (abi.MFN, bool) {
	if p > g.top {
		return 0, false
	}
	v := entry(g.p2m, uint64(p))
	return abi.MFN(v), v != noEntry && v&foreignBits == 0
}

// What a guest's table says of a page that has no frame of its own. Source:
// INVALID_MFN; Linux marks frames of others and identity pages in the top bits.
const (
	noEntry     = 1<<64 - 1
	foreignBits = 3 << 62
)

// pfn looks a frame up in Xen's table, and believes that only when the guest's
// says the same.
func (g *pvGuest) pfn(m abi.MFN) (abi.PFN, bool) {
	if uint64(m) >= uint64(g.m2p.Len()/8) {
		return 0, false
	}
	p := abi.PFN(entry(g.m2p, uint64(m)))
	back, ok := g.mfn(p)
	return p, ok && back == m
}

// entry reads word i of a table.
func entry(m *xenctrl.Mapping, i uint64) (v uint64) {
	v = noEntry
	_ = m.With(func(b []byte) error { // closed: as if there were no entry
		if i < uint64(len(b)/8) {
			v = le.Uint64(b[i*8:])
		}
		return nil
	})
	return v
}

func (g *pvGuest) mayAppear(abi.PFN) bool { return true }

func (g *pvGuest) outgoing(t stream.PageType, page, scratch []byte) ([]byte, error) {
	level := t.Level()
	if level == 0 {
		return page, nil
	}
	copy(scratch, page) // once: the guest may change it
	return scratch, outgoingTable(level, scratch, g.pfn)
}
