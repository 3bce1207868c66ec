package image

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
)

// Note is the number of a Xen note. Source: xen/include/public/elfnote.h.
type Note uint32

// The notes that a domain builder reads.
const (
	NoteEntry             Note = 1
	NoteHypercallPage     Note = 2
	NoteVirtBase          Note = 3
	NotePaddrOffset       Note = 4
	NoteXenVersion        Note = 5
	NoteGuestOS           Note = 6
	NoteGuestVersion      Note = 7
	NoteLoader            Note = 8
	NotePAEMode           Note = 9
	NoteFeatures          Note = 10
	NoteBSDSymtab         Note = 11
	NoteHVStartLow        Note = 12
	NoteSuspendCancel     Note = 14
	NoteInitP2M           Note = 15
	NoteModStartPFN       Note = 16
	NoteSupportedFeatures Note = 17
	NotePhys32Entry       Note = 18
)

// NoteSource is where the notes were found.
type NoteSource int

// The places for notes; later ones are looked at when earlier ones have none.
const (
	NoNotes      NoteSource = iota
	FromSegments            // PT_NOTE
	FromSections            // SHT_NOTE
	FromString              // the section __xen_guest of old PV kernels
)

// Notes is what a kernel says about itself to a domain builder.
type Notes struct {
	Source    NoteSource
	Supported Features // FEATURES and SUPPORTED_FEATURES
	Required  Features // those of FEATURES with a "!"
	Unknown   []string // required features that nobody knows by that name
	numbers   map[Note]uint64
	texts     map[Note]string
}

// Number returns a numeric note, and whether the kernel has it.
func (n *Notes) Number(id Note) (uint64, bool) { v, ok := n.numbers[id]; return v, ok }

// Text returns a text note, or "" when the kernel lacks it.
func (n *Notes) Text(id Note) string { return n.texts[id] }

// Features is a set of XENFEAT numbers below 32.
type Features uint32

// Has reports whether bit is in the set.
func (f Features) Has(bit int) bool { return f>>bit&1 != 0 }

// The features that matter to a builder. Source: xen/include/public/features.h.
const (
	FeatAutoTranslated        = 2
	FeatDom0                  = 11
	FeatLinuxRSDPUnrestricted = 15
)

// featureNames are the names that the FEATURES note uses.
var featureNames = map[string]int{
	"writable_page_tables":       0,
	"writable_descriptor_tables": 1,
	"auto_translated_physmap":    FeatAutoTranslated,
	"supervisor_mode_kernel":     3,
	"pae_pgdir_above_4gb":        4,
	"hvm_callback_vector":        8,
	"dom0":                       FeatDom0,
}

func (f *elfFile) notes() (Notes, error) {
	n := Notes{numbers: map[Note]uint64{}, texts: map[Note]string{}}
	budget := maxNotes
	for i := range f.phnum {
		p := f.prog(i)
		if p.kind != ptNote || p.off == 0 { // some binutils leave the offset out
			continue
		}
		if b, err := f.slice(p.off, p.fileSize); err == nil && n.scan(b, &budget) {
			n.Source = FromSegments
		}
	}
	if n.Source != NoNotes {
		return n, n.checkBudget(budget)
	}
	for i := 1; i < f.shnum; i++ {
		kind, _, off, size := f.section(i)
		if kind != shtNote {
			continue
		}
		if b, err := f.slice(off, size); err == nil && n.scan(b, &budget) {
			n.Source = FromSections
		}
	}
	if n.Source == NoNotes {
		if s, ok := f.xenGuest(); ok {
			n.Source = FromString
			n.legacy(s)
		}
	}
	return n, n.checkBudget(budget)
}

func (n *Notes) checkBudget(left int) error {
	if left <= 0 {
		return badf("ELF file with more than %d notes", maxNotes)
	}
	return nil
}

// scan reads a run of notes and reports whether any was Xen's.
func (n *Notes) scan(b []byte, budget *int) (found bool) {
	le := binary.LittleEndian
	for len(b) >= 12 && *budget > 0 {
		*budget--
		nameLen, descLen, kind := uint64(le.Uint32(b)), uint64(le.Uint32(b[4:])), le.Uint32(b[8:])
		b = b[12:]
		nameEnd, descEnd := align4(nameLen), align4(nameLen)+descLen
		if descEnd > uint64(len(b)) {
			return found
		}
		if string(bytes.TrimRight(b[:nameLen], "\x00")) == "Xen" {
			n.add(Note(kind), b[nameEnd:descEnd])
			found = true
		}
		b = b[min(align4(descEnd), uint64(len(b))):]
	}
	return found
}

func align4(v uint64) uint64 { return (v + 3) &^ 3 }

func (n *Notes) add(id Note, desc []byte) {
	switch id {
	case NoteXenVersion, NoteGuestOS, NoteGuestVersion, NoteLoader, NotePAEMode, NoteBSDSymtab:
		n.texts[id] = cString(desc)
	case NoteFeatures:
		n.texts[id] = cString(desc)
		n.features(n.texts[id])
	case NoteSupportedFeatures:
		if len(desc) >= 4 {
			n.Supported |= Features(binary.LittleEndian.Uint32(desc))
		}
	default:
		n.numbers[id] = number(desc)
	}
}

// number is a note's numeric value; any other size than 1, 2, 4 or 8 is 0.
func number(b []byte) uint64 {
	le := binary.LittleEndian
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(le.Uint16(b))
	case 4:
		return uint64(le.Uint32(b))
	case 8:
		return le.Uint64(b)
	}
	return 0
}

func cString(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(head(b, 1024))
}

// features reads "name|!name|...", where "!" makes a feature a condition.
func (n *Notes) features(s string) {
	for name := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == '|' || r == ' ' }) {
		name, required := strings.CutPrefix(name, "!")
		bit, known := featureNames[name]
		switch {
		case known && required:
			n.Required |= 1 << bit
			fallthrough
		case known:
			n.Supported |= 1 << bit
		case required:
			n.Unknown = append(n.Unknown, name)
		}
	}
}

// xenGuest returns the text of the section __xen_guest.
func (f *elfFile) xenGuest() (string, bool) {
	if f.shstrndx >= f.shnum {
		return "", false
	}
	_, _, off, size := f.section(f.shstrndx)
	names, err := f.slice(off, size)
	if err != nil {
		return "", false
	}
	for i := 1; i < f.shnum; i++ {
		_, name, off, size := f.section(i)
		if uint64(name) >= uint64(len(names)) || !bytes.HasPrefix(names[name:], []byte("__xen_guest\x00")) {
			continue
		}
		b, err := f.slice(off, size)
		return cString(b), err == nil
	}
	return "", false
}

// legacy reads the form that notes had before they were notes:
// "KEY=value,KEY=value".
func (n *Notes) legacy(s string) {
	texts := map[string]Note{"LOADER": NoteLoader, "GUEST_OS": NoteGuestOS, "GUEST_VER": NoteGuestVersion,
		"XEN_VER": NoteXenVersion, "PAE": NotePAEMode}
	numbers := map[string]Note{"VIRT_BASE": NoteVirtBase, "VIRT_ENTRY": NoteEntry, "ELF_PADDR_OFFSET": NotePaddrOffset}
	for kv := range strings.SplitSeq(s, ",") {
		key, value, _ := strings.Cut(kv, "=")
		if id, ok := texts[key]; ok {
			n.texts[id] = value
		} else if id, ok := numbers[key]; ok {
			n.numbers[id] = looseNumber(value)
		} else if key == "HYPERCALL_PAGE" {
			n.numbers[NoteHypercallPage] = looseNumber(value) << 12 // a page number, from VIRT_BASE on
		} else if key == "BSD_SYMTAB" {
			n.texts[NoteBSDSymtab] = "yes"
		} else if key == "FEATURES" {
			n.texts[NoteFeatures] = value
			n.features(value)
		}
	}
	if base, ok := n.numbers[NoteVirtBase]; ok {
		if page, ok := n.numbers[NoteHypercallPage]; ok {
			n.numbers[NoteHypercallPage] = page + base
		}
	}
}

func looseNumber(s string) uint64 {
	v, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		return 0
	}
	return v
}
