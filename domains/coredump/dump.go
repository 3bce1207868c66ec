package coredump

import (
	"context"
	"errors"
	"fmt"
	"io"

	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// batch is how many pages are mapped at a time: 16 MiB of address space.
const batch = 4096

// maxGFNs bounds how far beyond its memory a PVH guest is searched for pages, in
// frames: 1 TiB. It can put one of its pages anywhere.
const maxGFNs = 1 << 28

// Dump is a guest that is about to be written.
type Dump struct {
	h          *xenctrl.Handle
	id         abi.DomID
	layout     layout
	version    xenVersion
	registers  [][]byte
	sharedInfo []byte // nil: it cannot be mapped
	frames     uint64 // how many frame numbers there are to look at
	table      *table // of a PV guest
}

// Open reads everything about domain id but its memory. It blocks for a moment
// only. errors.ErrUnsupported: a 32-bit PV guest; ErrNoP2M: a PV guest that did
// not tell where its table of frames is.
func Open(h *xenctrl.Handle, id abi.DomID) (*Dump, error) {
	info, err := h.DomainInfo(id)
	if err != nil {
		return nil, err
	}
	d := &Dump{h: h, id: id, layout: layout{hvm: info.HVM(), pages: uint64(info.Pages), notes: notesSize}}
	if !info.HVM() {
		if bits, err := h.AddressSize(id); err != nil {
			return nil, err
		} else if bits != 64 {
			return nil, fmt.Errorf("a %d-bit PV guest, only 64-bit ones can be dumped: %w", bits, errors.ErrUnsupported)
		}
	}
	if d.sharedInfo, err = readPage(h, id, info.SharedInfoFrame); err != nil && !info.HVM() {
		return nil, fmt.Errorf("read the shared info page: %w", err)
	}
	d.layout.sharedInfo = d.sharedInfo != nil
	if d.registers, err = readRegisters(h, id, info.MaxVCPUID); err != nil {
		return nil, err
	}
	d.layout.vcpus = len(d.registers)
	if d.version, err = readXenVersion(h); err != nil {
		return nil, err
	}
	top, err := h.MaximumGPFN(id)
	if err != nil {
		return nil, err
	}
	d.frames = uint64(top) + 1
	if info.HVM() {
		d.frames = min(d.frames, maxGFNs+uint64(info.MaxPages))
		return d, nil
	}
	if d.table, err = openTable(h, id, d.sharedInfo, d.frames, info.Pages); err != nil {
		return nil, err
	}
	return d, nil
}

// readRegisters reads the context of each vcpu that has one: those that were
// never brought up have none.
func readRegisters(h *xenctrl.Handle, id abi.DomID, last uint32) ([][]byte, error) {
	var all [][]byte
	var why error
	for n := uint32(0); n <= min(last, 8191); n++ {
		b, err := h.VCPUContext(id, n)
		if err != nil {
			why = err
			continue
		}
		all = append(all, b)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no vcpu has registers to show: %w", why)
	}
	return all, nil
}

func readPage(h *xenctrl.Handle, id abi.DomID, f abi.GFN) ([]byte, error) {
	if uint64(f) == abi.InvalidFrame {
		return nil, errors.New("it has no frame")
	}
	return readPages(h, id, []abi.GFN{f})
}

// readPages returns a copy of frames.
func readPages(h *xenctrl.Handle, id abi.DomID, frames []abi.GFN) ([]byte, error) {
	m, err := h.MapForeign(id, frames, xenctrl.ProtRead)
	if err != nil {
		return nil, err
	}
	b := make([]byte, m.Len())
	err = m.With(func(p []byte) error { copy(b, p); return nil })
	return b, errors.Join(err, m.Close())
}

// Size returns how many bytes Write will write.
func (d *Dump) Size() uint64 { return d.layout.size() }

// Result counts pages. The special pages of a PVH guest lie where no dump looks, so
// a few are always missing.
type Result struct {
	Missing uint64 // that the guest had at the beginning, and that were not found: zeros in the file
	Extra   uint64 // that were found on top of those: not in the file
}

// Write writes the dump. It blocks as long as that takes, and ends with ctx. The
// writer gets pieces of up to 16 MiB and must not keep them.
func (d *Dump) Write(ctx context.Context, w io.Writer) (Result, error) {
	out := &writer{ctx: ctx, w: w}
	out.put(d.layout.head())
	out.put(appendNotes(nil, d.layout, d.version))
	for _, r := range d.registers {
		out.put(r)
	}
	out.put(d.sharedInfo)
	all := d.layout.sections()
	out.zeros(all[len(all)-2].offset - out.at)

	pages := &pageWriter{d: d, out: out}
	err := d.each(ctx, pages.add)
	if err == nil {
		err = pages.flush()
	}
	if err != nil && out.err == nil {
		return Result{}, err
	}
	r := Result{Missing: d.layout.pages - pages.done.count, Extra: pages.extra}
	out.zeros(r.Missing * abi.PageSize)
	if out.err == nil {
		out.err = pages.done.table(d.layout.hvm, d.layout.pages, func(b []byte) error { out.put(b); return out.err })
	}
	out.put(names(all))
	return r, out.err
}

// each calls found with every page that the guest may have, in the order of its
// own numbers. Whether it is there shows when it is mapped.
func (d *Dump) each(ctx context.Context, found func(page) error) error {
	if d.table != nil {
		return d.table.each(ctx, found)
	}
	for pfn := range d.frames {
		if inHole(pfn) {
			continue
		}
		if err := found(page{pfn, abi.GFN(pfn)}); err != nil {
			return err
		}
	}
	return nil
}

// inHole reports frames where the genuine tool does not look: VGA memory, and the
// devices and special pages from 3.75 to 4 GiB. Source: xg_core_x86.c.
func inHole(pfn uint64) bool {
	return pfn >= 0xa0 && pfn < 0xc0 || pfn >= 0xf0000 && pfn < 0x100000
}
