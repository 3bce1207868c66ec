package xentest

import (
	"bytes"
	"encoding/binary"
)

// Kernel returns a kernel that any builder takes and that does nothing: an ELF
// file with one loadable segment and Xen's notes for PV and PVH.
func Kernel() []byte {
	const vaddr, paddr, size = 0xffffffff80100000, 0x100000, 0x2000
	var notes bytes.Buffer
	note := func(typ uint32, desc []byte) {
		for _, v := range []uint32{4, uint32(len(desc)), typ} {
			binary.Write(&notes, binary.LittleEndian, v)
		}
		notes.WriteString("Xen\x00")
		notes.Write(append(desc, make([]byte, -len(desc)&3)...))
	}
	num := func(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }
	note(1, num(vaddr))                                            // XEN_ELFNOTE_ENTRY
	note(2, num(vaddr+0x1000))                                     // XEN_ELFNOTE_HYPERCALL_PAGE
	note(3, num(0xffffffff80000000))                               // XEN_ELFNOTE_VIRT_BASE
	note(5, []byte("xen-3.0\x00"))                                 // XEN_ELFNOTE_XEN_VERSION
	note(6, []byte("test\x00"))                                    // XEN_ELFNOTE_GUEST_OS
	note(8, []byte("generic\x00"))                                 // XEN_ELFNOTE_LOADER
	note(9, []byte("yes\x00"))                                     // XEN_ELFNOTE_PAE_MODE
	note(18, binary.LittleEndian.AppendUint32(nil, uint32(paddr))) // XEN_ELFNOTE_PHYS32_ENTRY
	const head = 64 + 2*56
	var b bytes.Buffer
	b.WriteString("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	for _, v := range []any{uint16(2), uint16(62), uint32(1), uint64(vaddr), uint64(64), uint64(0), uint32(0),
		uint16(64), uint16(56), uint16(2), uint16(0), uint16(0), uint16(0),
		uint32(1), uint32(7), uint64(head), uint64(vaddr), uint64(paddr), uint64(notes.Len()), uint64(size), uint64(0x1000),
		uint32(4), uint32(4), uint64(head), uint64(vaddr), uint64(paddr), uint64(notes.Len()), uint64(notes.Len()), uint64(4)} {
		binary.Write(&b, binary.LittleEndian, v)
	}
	b.Write(notes.Bytes())
	return b.Bytes()
}
