package stream

import (
	"encoding/binary"
	"fmt"

	"goxl/xenctrl/abi"
)

// PageType is what a page is to the guest, and whether its bytes are sent.
// Source: domctl.h, XEN_DOMCTL_PFINFO_*, shifted down by 28 bits.
type PageType uint8

// The page types; 5 to 8 do not exist.
const (
	PageNormal PageType = 0x0 // NOTAB
	PageL1     PageType = 0x1 // L1TAB to L4TAB: a page table of a PV guest
	PageL2     PageType = 0x2
	PageL3     PageType = 0x3
	PageL4     PageType = 0x4
	PagePinL1  PageType = 0x9 // the same, pinned
	PagePinL2  PageType = 0xa
	PagePinL3  PageType = 0xb
	PagePinL4  PageType = 0xc
	PageBroken PageType = 0xd // BROKEN: a hardware error took it
	PageAlloc  PageType = 0xe // XALLOC: to be populated, without content
	PageNone   PageType = 0xf // XTAB: not there (any more)
)

// Pinned is the bit that a pinned page table has beside its level.
const Pinned PageType = 8

// Valid reports whether t exists.
func (t PageType) Valid() bool { return t <= PageL4 || t >= PagePinL1 && t <= PageNone }

// HasData reports whether the bytes of a page of type t are in the stream.
func (t PageType) HasData() bool { return t.Valid() && t < PageBroken }

// Level is the level of the page table, 1 to 4; 0 for all other pages.
func (t PageType) Level() int {
	if !t.HasData() {
		return 0
	}
	return int(t &^ Pinned)
}

var pageTypeNames = [16]string{
	0x0: "normal", 0x1: "L1", 0x2: "L2", 0x3: "L3", 0x4: "L4", 0x9: "pinned L1", 0xa: "pinned L2",
	0xb: "pinned L3", 0xc: "pinned L4", 0xd: "broken", 0xe: "allocate only", 0xf: "not there",
}

func (t PageType) String() string {
	if int(t) < len(pageTypeNames) && pageTypeNames[t] != "" {
		return pageTypeNames[t]
	}
	return fmt.Sprintf("page type %#x", uint8(t))
}

// MaxPages is how many pages one PAGE_DATA record may describe. The format has no
// limit; no release of libxc puts in more (MAX_BATCH_SIZE in xg_sr_common.h).
const MaxPages = 1024

// largestPageData is the length of the body of a PAGE_DATA record at most.
const largestPageData = 8 + MaxPages*(8+abi.PageSize)

// An entry of a PAGE_DATA record: the type above, the frame number below.
const (
	pfnMask      = 1<<52 - 1
	pfnReserved  = 1<<60 - 1 - pfnMask
	pageTypeBits = 60
)

// PageData is a PAGE_DATA record: some of the guest's pages.
//
// A Reader gives the same PageData again and again; what it holds is good until
// the next call of Next. Whoever writes one owns its slices.
type PageData struct {
	PFNs  []abi.PFN
	Types []PageType // of each PFN
	// Data holds the bytes of those pages that have any, one after the other.
	Data []byte
	// Verify is true after a VERIFY record: the pages were sent before, and are
	// here to be compared. It is not part of the record.
	Verify bool
}

// Type returns TypePageData.
func (*PageData) Type() Type { return TypePageData }

// All goes over the pages in order; a page without data has a nil slice.
func (d *PageData) All(yield func(i int, page []byte) bool) {
	rest := d.Data
	for i, t := range d.Types {
		var page []byte
		if t.HasData() {
			page, rest = rest[:abi.PageSize:abi.PageSize], rest[abi.PageSize:]
		}
		if !yield(i, page) {
			return
		}
	}
}

// decode takes d from the body of a record, which it keeps. Data is the part that
// is longest and is not copied.
func (d *PageData) decode(b []byte, strict bool) error {
	count := binary.LittleEndian.Uint32(b)
	if count == 0 {
		return bad("no pages")
	}
	if count > MaxPages {
		return tooManyPages(count)
	}
	if strict {
		if err := reservedZero(binary.LittleEndian.Uint32(b[4:])); err != nil {
			return err
		}
	}
	n := int(count)
	if len(b) < 8+8*n {
		return bad("%d bytes are too few for the numbers of %d pages", len(b), n)
	}
	if cap(d.PFNs) < n {
		d.PFNs, d.Types = make([]abi.PFN, MaxPages), make([]PageType, MaxPages)
	}
	d.PFNs, d.Types, d.Data = d.PFNs[:n], d.Types[:n], b[8+8*n:]
	present, reserved := 0, uint64(0)
	for i := range n {
		v := binary.LittleEndian.Uint64(b[8+8*i:])
		t := PageType(v >> pageTypeBits)
		if !t.Valid() {
			return bad("page %d of %d: type %#x does not exist", i, n, uint8(t))
		}
		if t.HasData() {
			present++
		}
		reserved |= v & pfnReserved
		d.PFNs[i], d.Types[i] = abi.PFN(v&pfnMask), t
	}
	if len(d.Data) != present*abi.PageSize {
		return bad("%d bytes of content for %d of %d pages, want %d", len(d.Data), present, n, present*abi.PageSize)
	}
	if strict && reserved != 0 {
		return bad("reserved bits %#x are set in a page number", reserved)
	}
	return nil
}

// check tells whether d can be written, when its content is n bytes long.
func (d *PageData) check(n int) error {
	if len(d.PFNs) == 0 || len(d.PFNs) != len(d.Types) {
		return bad("%d page numbers and %d page types", len(d.PFNs), len(d.Types))
	}
	if len(d.PFNs) > MaxPages {
		return tooManyPages(uint32(len(d.PFNs)))
	}
	present := 0
	for i, t := range d.Types {
		if !t.Valid() || d.PFNs[i] > pfnMask {
			return bad("page %d: number %#x, %v", i, uint64(d.PFNs[i]), t)
		}
		if t.HasData() {
			present++
		}
	}
	if n != present*abi.PageSize {
		return bad("%d bytes of content for %d pages, want %d", n, present, present*abi.PageSize)
	}
	return nil
}

// appendNumbers appends all of d but its content.
func (d *PageData) appendNumbers(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(d.PFNs)))
	b = binary.LittleEndian.AppendUint32(b, 0)
	for i, p := range d.PFNs {
		b = binary.LittleEndian.AppendUint64(b, uint64(p)|uint64(d.Types[i])<<pageTypeBits)
	}
	return b
}

func tooManyPages(count uint32) error {
	return bad("%d pages, at most %d may be in one record", count, MaxPages)
}
