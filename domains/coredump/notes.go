package coredump

import (
	"encoding/binary"

	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// Types of the notes, all with the name "Xen". Source: xen/include/public/elfnote.h.
const (
	noteNone          = 0x2000000 // marks the file as a dump
	noteHeader        = 0x2000001
	noteXenVersion    = 0x2000002
	noteFormatVersion = 0x2000003
)

// The first word of the header note. Source: dump-core-format.txt.
const (
	magicPV  = 0xF00FEBED
	magicHVM = 0xF00FEBEE
)

// formatVersion is 0.1: major in the upper, minor in the lower half.
const formatVersion = 1

// Sizes in bytes. All descriptions are multiples of 4, so nothing is padded.
const (
	noteHead       = 16
	headerDesc     = 32
	xenVersionDesc = 16 + abi.ExtraVersionSize + abi.CompileInfoSize + abi.CapabilitiesSize + abi.ChangesetSize + 16
	notesSize      = 4*noteHead + headerDesc + xenVersionDesc + 8
)

// xenVersion is what the third note tells about the hypervisor.
type xenVersion struct {
	major, minor uint64
	extra        string
	compiled     abi.CompileInfo
	capabilities string
	changeset    string
	virtStart    uint64
	pageSize     uint64
}

// readXenVersion asks Xen for it.
func readXenVersion(h *xenctrl.Handle) (v xenVersion, err error) {
	v.major, v.minor = uint64(h.Version().Major), uint64(h.Version().Minor)
	if v.extra, err = h.ExtraVersion(); err != nil {
		return v, err
	}
	if v.compiled, err = h.CompileInfo(); err != nil {
		return v, err
	}
	if v.capabilities, err = h.Capabilities(); err != nil {
		return v, err
	}
	if v.changeset, err = h.Changeset(); err != nil {
		return v, err
	}
	if v.virtStart, err = h.PlatformParams(); err != nil {
		return v, err
	}
	size, err := h.PageSize()
	v.pageSize = uint64(size)
	return v, err
}

// appendNotes appends the contents of .note.Xen.
func appendNotes(b []byte, l layout, v xenVersion) []byte {
	le := binary.LittleEndian
	head := func(kind, desc uint32) {
		b = le.AppendUint32(b, 4) // of the name
		b = le.AppendUint32(b, desc)
		b = le.AppendUint32(b, kind)
		b = append(b, "Xen\x00"...)
	}
	text := func(s string, room int) {
		field := make([]byte, room)
		copy(field[:room-1], s)
		b = append(b, field...)
	}
	magic := uint64(magicPV)
	if l.hvm {
		magic = magicHVM
	}
	head(noteNone, 0)
	head(noteHeader, headerDesc)
	for _, n := range []uint64{magic, uint64(l.vcpus), l.pages, abi.PageSize} {
		b = le.AppendUint64(b, n)
	}
	head(noteXenVersion, xenVersionDesc)
	b = le.AppendUint64(b, v.major)
	b = le.AppendUint64(b, v.minor)
	text(v.extra, abi.ExtraVersionSize)
	text(v.compiled.Compiler, 64)
	text(v.compiled.By, 16)
	text(v.compiled.Domain, 32)
	text(v.compiled.Date, 32)
	text(v.capabilities, abi.CapabilitiesSize)
	text(v.changeset, abi.ChangesetSize)
	b = le.AppendUint64(b, v.virtStart)
	b = le.AppendUint64(b, v.pageSize)
	head(noteFormatVersion, 8)
	return le.AppendUint64(b, formatVersion)
}
