package coredump

import (
	"bytes"
	"debug/elf"
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
	kind          elf.SectionType
	offset, size  uint64
	align, stride uint64
}

// sections returns the section table, without the empty first entry. The pages
// start on a page boundary; the table of their numbers and the strings follow.
func (l layout) sections() []section {
	all := []section{
		{name: secStrings, kind: elf.SHT_STRTAB},
		{name: secNotes, kind: elf.SHT_NOTE, size: uint64(l.notes)},
		{name: secRegisters, kind: elf.SHT_PROGBITS, size: uint64(l.vcpus) * abi.VCPUContextSize, align: 8, stride: abi.VCPUContextSize},
	}
	if l.sharedInfo {
		all = append(all, section{name: secSharedInfo, kind: elf.SHT_PROGBITS, size: abi.PageSize, align: 8, stride: abi.PageSize})
	}
	numbers := section{name: secP2M, kind: elf.SHT_PROGBITS, size: l.pages * p2mEntry, align: 8, stride: p2mEntry}
	if l.hvm {
		numbers = section{name: secPFN, kind: elf.SHT_PROGBITS, size: l.pages * pfnEntry, align: 8, stride: pfnEntry}
	}
	all = append(all,
		section{name: secPages, kind: elf.SHT_PROGBITS, size: l.pages * abi.PageSize, align: abi.PageSize, stride: abi.PageSize}, numbers)

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

// head returns the ELF header and the section table.
func (l layout) head() []byte {
	all := l.sections()
	var b bytes.Buffer
	put := func(v any) {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			panic(err) // fixed-size structures into memory
		}
	}
	h := elf.Header64{
		Type: uint16(elf.ET_CORE), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT),
		Shoff: headerSize, Ehsize: headerSize, Phentsize: 56, Shentsize: sectionSize,
		Shnum: uint16(len(all) + 1), Shstrndx: 1,
	}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS] = byte(elf.ELFCLASS64)
	h.Ident[elf.EI_DATA] = byte(elf.ELFDATA2LSB)
	h.Ident[elf.EI_VERSION] = byte(elf.EV_CURRENT)
	h.Ident[elf.EI_ABIVERSION] = 1
	put(h)
	put(elf.Section64{})
	name := uint32(1)
	for _, s := range all {
		put(elf.Section64{Name: name, Type: uint32(s.kind), Off: s.offset, Size: s.size, Addralign: s.align, Entsize: s.stride})
		name += uint32(len(s.name)) + 1
	}
	return b.Bytes()
}
