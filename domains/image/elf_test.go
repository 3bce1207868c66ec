package image

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// testSegment is a segment of a testELF.
type testSegment struct {
	Addr, Size uint64
	Data       []byte
}

// testELF is a kernel to be, for tests: it writes 32- or 64-bit ELF files.
type testELF struct {
	machine  Machine
	wide     bool
	entry    uint64
	segments []testSegment
	notes    []byte // a PT_NOTE segment
	guest    string // a section __xen_guest
}

func note(id Note, desc []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 4)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(desc)))
	b = binary.LittleEndian.AppendUint32(b, uint32(id))
	b = append(b, "Xen\x00"...)
	b = append(b, desc...)
	return append(b, make([]byte, -len(desc)&3)...)
}

func noteNum(id Note, v uint64) []byte { return note(id, binary.LittleEndian.AppendUint64(nil, v)) }
func noteText(id Note, s string) []byte {
	return note(id, append([]byte(s), 0))
}

func join(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func (e testELF) bytes() []byte {
	le := binary.LittleEndian
	ehsize, phsize, shsize := 52, 32, 40
	if e.wide {
		ehsize, phsize, shsize = 64, 56, 64
	}
	n := len(e.segments)
	if e.notes != nil {
		n++
	}
	b := make([]byte, ehsize+n*phsize)
	copy(b, "\x7fELF\x01\x01\x01")
	le.PutUint16(b[16:], 2)
	le.PutUint16(b[18:], uint16(e.machine))
	put := func(i int, kind uint32, s testSegment) {
		p, off := b[ehsize+i*phsize:], uint64(len(b))
		le.PutUint32(p, kind)
		if e.wide {
			le.PutUint32(p[4:], 7)
			le.PutUint64(p[8:], off)
			le.PutUint64(p[24:], s.Addr)
			le.PutUint64(p[32:], uint64(len(s.Data)))
			le.PutUint64(p[40:], s.Size)
		} else {
			le.PutUint32(p[4:], uint32(off))
			le.PutUint32(p[12:], uint32(s.Addr))
			le.PutUint32(p[16:], uint32(len(s.Data)))
			le.PutUint32(p[20:], uint32(s.Size))
			le.PutUint32(p[24:], 7)
		}
		b = append(b, s.Data...)
	}
	for i, s := range e.segments {
		put(i, ptLoad, s)
	}
	if e.notes != nil {
		put(len(e.segments), ptNote, testSegment{Data: e.notes})
	}
	shoff := 0
	if e.guest != "" {
		shoff = e.sections(&b, shsize)
	}
	tail := b[40:]
	if e.wide {
		b[4] = 2
		le.PutUint64(b[24:], e.entry)
		le.PutUint64(b[32:], uint64(ehsize))
		le.PutUint64(b[40:], uint64(shoff))
		tail = b[52:]
	} else {
		le.PutUint32(b[24:], uint32(e.entry))
		le.PutUint32(b[28:], uint32(ehsize))
		le.PutUint32(b[32:], uint32(shoff))
	}
	le.PutUint16(tail[2:], uint16(phsize))
	le.PutUint16(tail[4:], uint16(n))
	if shoff != 0 {
		le.PutUint16(tail[6:], uint16(shsize))
		le.PutUint16(tail[8:], 3)
		le.PutUint16(tail[10:], 1)
	}
	return b
}

// sections appends the names, the text and the table: null, names, text.
func (e testELF) sections(b *[]byte, shsize int) int {
	le := binary.LittleEndian
	names, nameOff := "\x00.shstrtab\x00__xen_guest\x00", len(*b)
	*b = append(*b, names...)
	textOff := len(*b)
	*b = append(*b, e.guest...)
	*b = append(*b, 0)
	shoff := len(*b)
	*b = append(*b, make([]byte, 3*shsize)...)
	put := func(i, name, off, size int) {
		s := (*b)[shoff+i*shsize:]
		le.PutUint32(s, uint32(name))
		le.PutUint32(s[4:], 1)
		if e.wide {
			le.PutUint64(s[24:], uint64(off))
			le.PutUint64(s[32:], uint64(size))
		} else {
			le.PutUint32(s[16:], uint32(off))
			le.PutUint32(s[20:], uint32(size))
		}
	}
	put(1, 1, nameOff, len(names))
	put(2, 11, textOff, len(e.guest)+1)
	return shoff
}

const kbase = 0xffffffff80000000

// linuxLike has the notes of a 64-bit Linux.
func linuxLike() testELF {
	return testELF{machine: AMD64, wide: true, entry: 0x1000000,
		segments: []testSegment{{Addr: 0x1000000, Size: 0x3000, Data: []byte("kernel")}, {Addr: 0x1004000, Size: 0x1000}},
		notes: join(noteText(NoteGuestOS, "linux"), noteText(NoteXenVersion, "xen-3.0"), noteNum(NoteVirtBase, kbase),
			noteNum(NoteInitP2M, 0x8000000000), noteNum(NoteEntry, kbase+0x1001000), noteNum(NoteHypercallPage, kbase+0x1002000),
			noteNum(NoteModStartPFN, 1), noteNum(NotePhys32Entry, 0x1000010),
			noteText(NoteFeatures, "!writable_page_tables|pae_pgdir_above_4gb"),
			note(NoteSupportedFeatures, []byte{0x01, 0x88, 0, 0}))}
}

func mustParse(t *testing.T, e testELF) *Image {
	t.Helper()
	im, err := Parse(e.bytes())
	if err != nil {
		t.Fatal(err)
	}
	return im
}

func TestLinuxLike(t *testing.T) {
	im := mustParse(t, linuxLike())
	pv, err := im.PV()
	if err != nil {
		t.Fatal(err)
	}
	if pv.VirtBase != kbase || pv.Start != kbase+0x1000000 || pv.End != kbase+0x1005000 || pv.Entry != kbase+0x1001000 ||
		*pv.InitP2M != 0x8000000000 || *pv.HypercallPage != kbase+0x1002000 || !pv.RamdiskByPFN || pv.GuestType != "xen-3.0-x86_64" {
		t.Errorf("PV() = %+v", pv)
	}
	pvh, err := im.PVH()
	if err != nil {
		t.Fatal(err)
	}
	if pvh.Entry != 0x1000010 || pvh.Start != 0x1000000 || pvh.End != 0x1005000 || pvh.RSDPBelow1M {
		t.Errorf("PVH() = %+v", pvh)
	}
	if !im.Notes.Required.Has(0) || !im.Notes.Supported.Has(4) || !im.Notes.Supported.Has(FeatDom0) {
		t.Errorf("features: supported %#x, required %#x", im.Notes.Supported, im.Notes.Required)
	}
}

func TestLegacyString(t *testing.T) {
	im := mustParse(t, testELF{machine: I386, segments: []testSegment{{Addr: 0xc0100000, Size: 0x2000}}, entry: 0xc0100000,
		guest: "GUEST_OS=linux,GUEST_VER=2.6,XEN_VER=xen-3.0,VIRT_BASE=0xC0000000,HYPERCALL_PAGE=0x101,LOADER=generic,PAE=yes"})
	pv, err := im.PV()
	if err != nil {
		t.Fatal(err)
	}
	if im.Notes.Source != FromString || pv.GuestType != "xen-3.0-x86_32p" || pv.Start != 0xc0100000 || *pv.HypercallPage != 0xc0101000 {
		t.Errorf("source %v, PV() = %+v", im.Notes.Source, pv)
	}
	if _, err := im.PVH(); err == nil {
		t.Error("PVH() of a PV kernel succeeded")
	}
}

func TestRefusals(t *testing.T) {
	firmware := testELF{machine: I386, segments: []testSegment{{Addr: 0x100000, Size: 0x1000}}, entry: 0x100010}
	for _, tt := range []struct {
		name string
		elf  func() testELF
		boot func(*Image) error
		want string
	}{
		{"no notes, PV", func() testELF { return firmware }, pvOf, "no Xen notes"},
		{"no notes, PVH", func() testELF { return firmware }, pvhOf, "CONFIG_PVH"},
		{"no PVH entry", with(func(e *testELF) {
			e.notes = join(noteText(NoteGuestOS, "linux"), noteText(NoteXenVersion, "xen-3.0"))
		}), pvhOf, "PHYS32_ENTRY"},
		{"PVH only", with(func(e *testELF) { e.notes = noteNum(NotePhys32Entry, 0x1000010) }), pvOf, "use type=\"pvh\""},
		{"dom0 only", with(func(e *testELF) { e.notes = join(e.notes, noteText(NoteFeatures, "!dom0")) }), pvOf, "dom0 only"},
		{"unknown requirement", with(func(e *testELF) { e.notes = join(e.notes, noteText(NoteFeatures, "!warp_drive")) }), pvOf, "warp_drive"},
		{"entry outside", with(func(e *testELF) { e.notes = join(e.notes, noteNum(NoteEntry, 0x1000)) }), pvOf, "outside"},
		{"p2m inside", with(func(e *testELF) { e.notes = join(e.notes, noteNum(NoteInitP2M, kbase+0x1000000)) }), pvOf, "p2m list"},
		{"PVH entry outside", with(func(e *testELF) { e.notes = join(e.notes, noteNum(NotePhys32Entry, 0x2000000)) }), pvhOf, "outside"},
		{"kernel as firmware", linuxLike, hvmOf, "64-bit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.boot(mustParse(t, tt.elf()))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !errors.Is(err, ErrFormat) {
				t.Errorf("got %v, want an ErrFormat that mentions %q", err, tt.want)
			}
		})
	}
	if _, err := mustParse(t, firmware).HVM(); err != nil {
		t.Errorf("firmware: %v", err)
	}
}

func with(change func(*testELF)) func() testELF {
	return func() testELF {
		e := linuxLike()
		change(&e)
		return e
	}
}

func pvOf(im *Image) error  { _, err := im.PV(); return err }
func pvhOf(im *Image) error { _, err := im.PVH(); return err }
func hvmOf(im *Image) error { _, err := im.HVM(); return err }

func TestDamagedELF(t *testing.T) {
	le := binary.LittleEndian
	for _, tt := range []struct {
		name   string
		damage func(b []byte) []byte
		want   string
	}{
		{"cut short", func(b []byte) []byte { return b[:40] }, "not an ELF"},
		{"cut in the segments", func(b []byte) []byte { return b[:64+3*56+2] }, "cut short"},
		{"other machine", func(b []byte) []byte { b[18] = 183; return b }, "another architecture"},
		{"big-endian", func(b []byte) []byte { b[5] = 2; return b }, "big-endian"},
		{"headers far away", func(b []byte) []byte { le.PutUint64(b[32:], 1<<63); return b }, "beyond the file"},
		{"65535 headers", func(b []byte) []byte { le.PutUint16(b[56:], 0xffff); return b }, "at most"},
		{"no headers", func(b []byte) []byte { le.PutUint16(b[56:], 0); return b }, "object file"},
		{"more bytes than memory", func(b []byte) []byte { le.PutUint64(b[64+40:], 1); return b }, "in memory"},
		{"wraps around", func(b []byte) []byte { le.PutUint64(b[64+24:], ^uint64(0)); return b }, "wraps"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.damage(linuxLike().bytes()))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !errors.Is(err, ErrFormat) {
				t.Errorf("got %v, want an ErrFormat that mentions %q", err, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(linuxLike().bytes())
	f.Add(testELF{machine: I386, segments: []testSegment{{Addr: 0xc0100000, Size: 0x2000}}, guest: "XEN_VER=xen-3.0,LOADER=generic"}.bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		im, err := Parse(b)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("not an ErrFormat: %v", err)
			}
			return
		}
		if pv, err := im.PV(); err == nil && (pv.Start >= pv.End || pv.Entry < pv.Start || pv.VirtBase > pv.Start) {
			t.Errorf("PV() = %+v", pv)
		}
		if pvh, err := im.PVH(); err == nil && (pvh.End > 1<<32 || uint64(pvh.Entry) < pvh.Start) {
			t.Errorf("PVH() = %+v", pvh)
		}
		_, _ = im.HVM()
	})
}
