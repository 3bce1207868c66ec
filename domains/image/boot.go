package image

import (
	"strings"
)

// PV is how a paravirtual guest is laid out and entered. Addresses are the
// guest's virtual ones; page p of the guest lies at VirtBase + p*4096.
type PV struct {
	GuestType     string // in the words of Xen's capabilities: "xen-3.0-x86_64"
	Entry         uint64
	VirtBase      uint64
	Start, End    uint64  // of the kernel
	Offset        uint64  // virtual minus physical (ELF) address, modulo 2^64
	HypercallPage *uint64 // nil when the kernel has none
	InitP2M       *uint64 // where the kernel wants its p2m list; nil: anywhere in the first mapping
	RamdiskByPFN  bool    // the kernel takes a ramdisk that is not mapped
}

// PVH is how a kernel is entered in a HVM container without firmware.
// Addresses are guest-physical.
type PVH struct {
	Entry       uint32
	Start, End  uint64
	RSDPBelow1M bool // the kernel finds ACPI's root only below 1 MiB
	RamdiskLast bool // Xen's tools put the ramdisk behind all else for this kernel
}

// HVM is how firmware (hvmloader) is entered. Addresses are guest-physical.
type HVM struct {
	Entry      uint64
	Start, End uint64
}

// PV returns how to start im as a paravirtual guest, by the rules of Xen's
// libelf. The errors say what the kernel lacks.
func (im *Image) PV() (*PV, error) {
	n := &im.Notes
	if n.Source == NoNotes {
		return nil, badf("the kernel has no Xen notes: it cannot run as a PV guest " +
			"(Linux needs CONFIG_XEN_PV; or use type=\"hvm\")")
	}
	if err := im.checkPVNotes(); err != nil {
		return nil, err
	}
	p := &PV{GuestType: im.pvType()}
	base, hasBase := n.Number(NoteVirtBase)
	offset, hasOffset := n.Number(NotePaddrOffset)
	switch {
	case hasOffset && !hasBase:
		return nil, badf("the kernel's Xen notes have PADDR_OFFSET but no VIRT_BASE")
	case !hasOffset && n.Source == FromString:
		offset = base // what old kernels put into p_paddr is the virtual address
	}
	start, end := im.Span()
	p.VirtBase, p.Offset = base, base-offset
	p.Start, p.End = start+p.Offset, end+p.Offset
	p.Entry = im.Entry
	if e, ok := n.Number(NoteEntry); ok {
		p.Entry = e
	}
	if v, ok := n.Number(NoteHypercallPage); ok {
		p.HypercallPage = &v
	}
	if v, ok := n.Number(NoteInitP2M); ok && im.Bits == 64 {
		p.InitP2M = &v
	}
	if v, ok := n.Number(NoteModStartPFN); ok {
		p.RamdiskByPFN = v != 0
	}
	return p, p.check()
}

// pvType is the guest type in the words of XENVER_capabilities.
func (im *Image) pvType() string {
	if im.Machine == AMD64 {
		return "xen-3.0-x86_64"
	}
	return "xen-3.0-x86_32p" // Xen without PAE is long gone
}

func (im *Image) checkPVNotes() error {
	n := &im.Notes
	loader, os, version := n.Text(NoteLoader), n.Text(NoteGuestOS), n.Text(NoteXenVersion)
	_, pvh := n.Number(NotePhys32Entry)
	switch {
	case !strings.HasPrefix(loader, "generic") && !strings.HasPrefix(os, "linux"):
		if pvh {
			return badf("the kernel has a PVH entry but no PV one: use type=\"pvh\"")
		}
		return badf("the kernel's Xen notes name loader %q and guest OS %q; a PV guest needs \"generic\" or \"linux\"", loader, os)
	case !strings.HasPrefix(version, "xen-3.0"):
		if pvh {
			return badf("the kernel was built for PVH only (no XEN_VERSION note): use type=\"pvh\"")
		}
		return badf("the kernel's Xen notes ask for Xen %q; a PV guest needs \"xen-3.0\"", version)
	case len(n.Unknown) > 0:
		return badf("the kernel requires features of Xen that are not known: %s", strings.Join(n.Unknown, ", "))
	case n.Required.Has(FeatDom0):
		return badf("the kernel runs as dom0 only (it requires the feature dom0)")
	case n.Required.Has(FeatAutoTranslated):
		return badf("the kernel requires auto-translated PV, which Xen no longer has")
	}
	return nil
}

func (p *PV) check() error {
	switch {
	case p.VirtBase&0xfff != 0:
		return badf("the kernel's VIRT_BASE %#x is not on a page boundary", p.VirtBase)
	case p.Start >= p.End || p.VirtBase > p.Start:
		return badf("the kernel's addresses make no sense: base %#x, start %#x, end %#x", p.VirtBase, p.Start, p.End)
	case p.Entry < p.Start || p.Entry > p.End:
		return badf("the kernel's entry %#x lies outside of it (%#x to %#x)", p.Entry, p.Start, p.End)
	case p.InitP2M != nil && *p.InitP2M >= p.Start && *p.InitP2M < p.End:
		return badf("the kernel wants its p2m list at %#x, inside itself", *p.InitP2M)
	case p.HypercallPage != nil && (*p.HypercallPage < p.Start || *p.HypercallPage >= p.End || *p.HypercallPage&0xfff != 0):
		return badf("the kernel's hypercall page %#x is not a page of it (%#x to %#x)", *p.HypercallPage, p.Start, p.End)
	}
	return nil
}

// PVH returns how to start im as a PVH guest. The errors say what the kernel
// lacks.
func (im *Image) PVH() (*PVH, error) {
	n := &im.Notes
	entry, ok := n.Number(NotePhys32Entry)
	if !ok {
		if n.Source == NoNotes {
			return nil, badf("the kernel has no Xen notes: it cannot run as a PVH guest (Linux needs CONFIG_PVH; or use type=\"hvm\")")
		}
		return nil, badf("the kernel has no PVH entry (note PHYS32_ENTRY): Linux has it with CONFIG_PVH, from 4.11 on; use type=\"pv\"")
	}
	if n.Required.Has(FeatDom0) {
		return nil, badf("the kernel runs as dom0 only (it requires the feature dom0)")
	}
	start, end := im.Span()
	if end > 1<<32 {
		return nil, badf("the kernel reaches up to %#x, beyond the 4 GiB that PVH starts in", end)
	}
	if entry < start || entry >= end {
		return nil, badf("the kernel's PVH entry %#x lies outside of it (%#x to %#x)", entry, start, end)
	}
	linux := n.Text(NoteGuestOS) == "linux"
	byPFN, _ := n.Number(NoteModStartPFN)
	return &PVH{Entry: uint32(entry), Start: start, End: end,
		RSDPBelow1M: linux && !n.Supported.Has(FeatLinuxRSDPUnrestricted), RamdiskLast: byPFN != 0}, nil
}

// HVM returns how to start im as the firmware of a HVM guest. It refuses a
// kernel, since what a HVM guest starts with is hvmloader.
func (im *Image) HVM() (*HVM, error) {
	if im.Bits != 32 {
		return nil, badf("the HVM loader is a %d-bit ELF file; a 32-bit one is needed", im.Bits)
	}
	if im.Notes.Source != NoNotes {
		return nil, badf("the HVM loader has Xen notes: it is a kernel (use type=\"pv\" or \"pvh\")")
	}
	start, end := im.Span()
	if end > 1<<32 || im.Entry < start || im.Entry >= end {
		return nil, badf("the HVM loader's entry %#x or end %#x makes no sense", im.Entry, end)
	}
	return &HVM{Entry: im.Entry, Start: start, End: end}, nil
}
