package coredump

import (
	"encoding/binary"

	"goxl/xenctrl/abi"
)

// Names of the sections. Source: dump-core-format.txt, "Sections".
const (
	secStrings    = ".shstrtab"
	secNotes      = ".note.Xen"
	secRegisters  = ".xen_prstatus"
	secSharedInfo = ".xen_shared_info"
	secPages      = ".xen_pages"
	secP2M        = ".xen_p2m" // pairs of pfn and machine frame, of a PV guest
	secPFN        = ".xen_pfn" // pfns, of all others
)

// Sizes in bytes.
const (
	headerSize  = 64
	sectionSize = 64
	p2mEntry    = 16
	pfnEntry    = 8
)

// layout says what is where in the file. It is pure: the same numbers give the
// same bytes.
type layout struct {
	hvm        bool // PVH: the pages are named by pfn alone
	vcpus      int
	sharedInfo bool // PVH guests that did not map theirs have none
	pages      uint64
	notes      int // bytes
}

// section is one line of the section table.
type section struct {
	name          string
	kind          uint32
	offset, size  uint64
	align, stride uint64
}

// sections returns the section table, without the empty first entry. The pages
// start on a page boundary; the table of their numbers and the strings follow.
func (l layout) sections() []section {
	all := []section{
		{name: secStrings, kind: sectionStrings},
		{name: secNotes, kind: sectionNote, size: uint64(l.notes)},
		{name: secRegisters, kind: sectionBytes, size: uint64(l.vcpus) * abi.VCPUContextSize, align: 8, stride: abi.VCPUContextSize},
	}
	if l.sharedInfo {
		all = append(all, section{name: secSharedInfo, kind: sectionBytes, size: abi.PageSize, align: 8, stride: abi.PageSize})
	}
	numbers := section{name: secP2M, kind: sectionBytes, size: l.pages * p2mEntry, align: 8, stride: p2mEntry}
	if l.hvm {
		numbers = section{name: secPFN, kind: sectionBytes, size: l.pages * pfnEntry, align: 8, stride: pfnEntry}
	}
	all = append(all,
		section{name: secPages, kind: sectionBytes, size: l.pages * abi.PageSize, align: abi.PageSize, stride: abi.PageSize}, numbers)

	at := uint64(headerSize + sectionSize*(len(all)+1))
	for i := 1; i < len(all); i++ {
		if all[i].name == secPages {
			at = (at + abi.PageSize - 1) &^ (abi.PageSize - 1)
		}
		all[i].offset = at
		at += all[i].size
	}
	all[0].offset, all[0].size = at, uint64(len(names(all)))
	return all
}

// names is the string table.
func names(all []section) []byte {
	b := []byte{0}
	for _, s := range all {
		b = append(append(b, s.name...), 0)
	}
	return b
}

// size is the length of the file.
func (l layout) size() uint64 {
	strings := l.sections()[0]
	return strings.offset + strings.size
}

// Kinds of sections. Source: the System V ABI's chapter on object files, sh_type.
// The standard library's debug/elf has them too, but every xl would pay on starting
// for its tables of debugging formats.
const (
	sectionBytes   = 1 // SHT_PROGBITS
	sectionStrings = 3 // SHT_STRTAB
	sectionNote    = 7 // SHT_NOTE
)

// ident is e_ident: the magic, 64 bits, little endian, version 1, no operating
// system's, and version 1 of that.
const ident = "\x7fELF\x02\x01\x01\x00\x01\x00\x00\x00\x00\x00\x00\x00"

// head returns the ELF header and the section table. Source: the System V ABI,
// Elf64_Ehdr and Elf64_Shdr.
func (l layout) head() []byte {
	const core, x86, programHeader = 4, 62, 56 // ET_CORE, EM_X86_64, e_phentsize
	all := l.sections()
	le := binary.LittleEndian
	b := make([]byte, 0, headerSize+sectionSize*(len(all)+1))
	b = append(b, ident...)
	b = le.AppendUint16(b, core)
	b = le.AppendUint16(b, x86)
	b = le.AppendUint32(b, 1)          // e_version
	b = le.AppendUint64(b, 0)          // e_entry
	b = le.AppendUint64(b, 0)          // e_phoff
	b = le.AppendUint64(b, headerSize) // e_shoff
	b = le.AppendUint32(b, 0)          // e_flags
	for _, n := range []int{headerSize, programHeader, 0, sectionSize, len(all) + 1, 1} {
		b = le.AppendUint16(b, uint16(n)) // e_ehsize to e_shstrndx
	}
	b = append(b, make([]byte, sectionSize)...)
	name := uint32(1)
	for _, s := range all {
		b = s.appendTo(b, name)
		name += uint32(len(s.name)) + 1
	}
	return b
}

// appendTo appends the section's line of the table; name is where its name stands
// in the string table.
func (s *section) appendTo(b []byte, name uint32) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, name)
	b = le.AppendUint32(b, s.kind)
	for _, n := range []uint64{0, 0, s.offset, s.size, 0, s.align, s.stride} {
		b = le.AppendUint64(b, n) // sh_flags to sh_entsize; sh_link and sh_info are one
	}
	return b
}
