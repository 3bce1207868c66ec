package stream

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"goxl/xenctrl/abi"
)

// Inspect writes to w what is in the stream in r: each header and record with its
// offset, its size in the stream and what it holds, indented by layer, then how
// much there was of each type. After an error of the stream it still writes how far it came. The
// error is a Reader's, or what w returned.
func Inspect(w io.Writer, r io.Reader, o Options) (*Summary, error) {
	p := &printer{w: w}
	p.printf("%12s %10s  %s\n", "offset", "bytes", "record")
	s, err := walk(r, o, func(_ *Summary, rec Record) error {
		return p.record(rec)
	})
	p.totals(s)
	return s, cmp.Or(err, p.err)
}

// printer writes lines until an error, which it keeps.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func (p *printer) record(rec Record) error {
	t := rec.Body.Type()
	p.printf("%#12x %10d  %*s%s", rec.Offset, rec.Size(), 2*int(t.Layer()), "", t)
	if text := describe(rec.Body); text != "" {
		p.printf(": %s", text)
	}
	p.printf("\n")
	if c, ok := rec.Body.(HVMContext); ok {
		p.states(c)
	}
	return p.err
}

// states prints what an HVM context holds, one line for each kind.
func (p *printer) states(c HVMContext) {
	var names []string
	count, size := map[string]int{}, map[string]int{}
	for s := range c.All() {
		name := s.String()
		if count[name] == 0 {
			names = append(names, name)
		}
		count[name]++
		size[name] += len(s.Data)
	}
	for _, name := range names {
		p.printf("%31s%s: %d, %d bytes\n", "", name, count[name], size[name])
	}
}

// totals prints how much there was of everything.
func (p *printer) totals(s *Summary) {
	p.printf("\n%8s %12s  %s\n", "records", "bytes", "type")
	for _, t := range slices.Sorted(maps.Keys(s.Types)) {
		p.printf("%8d %12d  %*s%s\n", s.Types[t].Records, s.Types[t].Bytes, 2*int(t.Layer()), "", t)
	}
	p.printf("\n%8s  %s\n", "pages", "type")
	for t, n := range s.PageTypes {
		if n > 0 {
			p.printf("%8d  %s\n", n, PageType(t))
		}
	}
}

// describe says what a body holds; "" when its type says it all.
func describe(b Body) string {
	switch b := b.(type) {
	case *XLHeader:
		return fmt.Sprintf("a configuration of %d bytes", len(b.Config))
	case *LibxlHeader:
		return fmt.Sprintf("version %d%s", libxlVersion, map[bool]string{true: ", converted"}[b.Converted])
	case *LibxcHeader:
		return fmt.Sprintf("version %d, %v guest, Xen %d.%d", b.Version, b.Guest, b.XenMajor, b.XenMinor)
	case *PageData:
		return describePages(b)
	case *EmulatorStore:
		return fmt.Sprintf("%v %d, %d nodes", b.ID, b.Index, len(b.Nodes))
	case *EmulatorContext:
		return fmt.Sprintf("%v %d, %d bytes", b.ID, b.Index, b.Size)
	case CheckpointState:
		return [...]string{"new checkpoint", "suspended", "ready", "resumed"}[b]
	}
	return describeState(b)
}

// describeState is describe for the guest's state.
func describeState(b Body) string {
	switch b := b.(type) {
	case *PVInfo:
		return fmt.Sprintf("%d-bit, %d levels of page tables", 8*b.Width, b.Levels)
	case *P2MFrames:
		return fmt.Sprintf("pages %#x to %#x in %d frames", b.Start, b.End, b.Frames.Len())
	case *VCPU:
		return fmt.Sprintf("vcpu %d, %d bytes", b.ID, len(b.Context))
	case *TSCInfo:
		return fmt.Sprintf("mode %d, %d kHz, %d ns, incarnation %d", b.Mode, b.KHz, b.Nsec, b.Incarnation)
	case HVMParams:
		var s []string
		for _, p := range b {
			s = append(s, fmt.Sprintf("%d=%#x", p.Index, p.Value))
		}
		return strings.Join(s, " ")
	case CPUIDPolicy:
		return fmt.Sprintf("%d leaves", len(b))
	case MSRPolicy:
		return fmt.Sprintf("%d registers", len(b))
	case *DirtyPFNs:
		return fmt.Sprintf("%d pages", b.PFNs.Len())
	case *Optional:
		return "optional, passed over"
	}
	return describeDisk(b)
}

// describeDisk is describe for disks.
func describeDisk(b Body) string {
	switch b := b.(type) {
	case *DiskBegin:
		return fmt.Sprintf("disk %d is %q, %s of %d bytes", b.Disk, b.Name, b.Format, b.Size)
	case *DiskData:
		return fmt.Sprintf("disk %d, %d bytes at %#x", b.Disk, len(b.Data), b.Offset)
	case *DiskZero:
		return fmt.Sprintf("disk %d, %d bytes at %#x", b.Disk, b.Length, b.Offset)
	case *DiskRound:
		return fmt.Sprintf("disk %d", b.Disk)
	case *DiskEnd:
		return fmt.Sprintf("disk %d, checksum %x", b.Disk, b.Sum)
	}
	return ""
}

func describePages(d *PageData) string {
	low, high := slices.Min(d.PFNs), slices.Max(d.PFNs)
	text := fmt.Sprintf("%d pages from %#x to %#x", len(d.PFNs), uint64(low), uint64(high))
	if n := len(d.Data) / abi.PageSize; n != len(d.PFNs) {
		text += fmt.Sprintf(", %d with content", n)
	}
	if d.Verify {
		text += ", to be compared"
	}
	return text
}
