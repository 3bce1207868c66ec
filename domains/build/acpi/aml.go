package acpi

import (
	"encoding/binary"
	"fmt"
)

// Opcodes of AML. Source: ACPI specification 5.0, chapter 20.
const (
	amlName      = 0x08
	amlByte      = 0x0a
	amlDword     = 0x0c
	amlString    = 0x0d
	amlScope     = 0x10
	amlMethod    = 0x14
	amlDualName  = 0x2e
	amlExt       = 0x5b
	amlRoot      = 0x5c
	amlAdd       = 0x72
	amlToBuffer  = 0x96
	amlIf        = 0xa0
	amlReturn    = 0xa4
	extSleep     = 0x22
	extRegion    = 0x80
	extField     = 0x81
	extProcessor = 0x83
)

func cat(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// pkgLength encodes n, which counts whatever the caller says, in AML's form.
func pkgLength(n int) []byte {
	switch {
	case n < 1<<6:
		return []byte{byte(n)}
	case n < 1<<12:
		return []byte{1<<6 | byte(n&15), byte(n >> 4)}
	default:
		return []byte{2<<6 | byte(n&15), byte(n >> 4), byte(n >> 12)}
	}
}

// pkg puts the length of itself and of body before body.
func pkg(body []byte) []byte {
	for size := 1; ; size++ {
		if l := pkgLength(len(body) + size); len(l) == size {
			return append(l, body...)
		}
	}
}

// number is an integer constant.
func number(v uint32) []byte {
	switch {
	case v < 2:
		return []byte{byte(v)} // ZeroOp, OneOp
	case v < 1<<8:
		return []byte{amlByte, byte(v)}
	}
	return binary.LittleEndian.AppendUint32([]byte{amlDword}, v)
}

// inSB is the path \_SB.name.
func inSB(name string) []byte { return cat([]byte{amlRoot, amlDualName}, []byte("_SB_"+name)) }

func region(name string, addr, size []byte) []byte {
	return cat([]byte{amlExt, extRegion}, []byte(name), []byte{0}, addr, size) // 0: system memory
}

// bits is an entry of a field list; without a name it skips.
func bits(name string, n int) []byte {
	if name == "" {
		name = "\x00"
	}
	return append([]byte(name), pkgLength(n)...)
}

// field has byte access, no lock, and keeps other bits.
func field(region string, entries ...[]byte) []byte {
	return cat([]byte{amlExt, extField}, pkg(cat([]byte(region), []byte{1}, cat(entries...))))
}

func method(name string, args byte, body ...[]byte) []byte {
	return cat([]byte{amlMethod}, pkg(cat([]byte(name), []byte{args}, cat(body...))))
}

func name(n string, value []byte) []byte { return cat([]byte{amlName}, []byte(n), value) }

func ret(value []byte) []byte { return append([]byte{amlReturn}, value...) }

// processor describes vcpu i: its MADT entry, from which its state is read, and
// the methods that hot-plug wants. Source: tools/libacpi/mk_dsdt.c.
func processor(i int) []byte {
	toBuffer := cat([]byte{amlToBuffer}, []byte("MAT_"), []byte{0})
	return cat([]byte{amlExt, extProcessor}, pkg(cat(
		fmt.Appendf(nil, "PR%02X", i), []byte{byte(i)},
		binary.LittleEndian.AppendUint32(nil, 0xb010), []byte{6}, // register block
		name("_HID", cat([]byte{amlString}, []byte("ACPI0007\x00"))),
		name("_UID", number(uint32(i))),
		region("MATR", cat([]byte{amlAdd}, inSB("MAPA"), number(uint32(8*i)), []byte{0}), number(8)),
		field("MATR", bits("MAT_", 64)),
		field("MATR", bits("", 32), bits("FLG_", 1)),
		method("_MAT", 0, ret(toBuffer)),
		method("_STA", 0, cat([]byte{amlIf}, pkg(cat([]byte("FLG_"), ret(number(15))))), ret(number(0))),
		method("_EJ0", 1, cat([]byte{amlExt, extSleep}, number(200))),
	)))
}

// dsdt describes the processors. Their MADT entries are found through the info
// page, which is a region that the names of its fields read.
func dsdt(vcpus int) []byte {
	body := cat([]byte{amlRoot}, []byte("_SB_"),
		region("BIOS", number(InfoAddr), number(40)),
		field("BIOS", bits("", 16), bits("NCPU", 16), bits("", 64), bits("MSUA", 32), bits("MAPA", 32)))
	for i := range vcpus {
		body = append(body, processor(i)...)
	}
	code := cat([]byte{amlScope}, pkg(body))
	b := header("DSDT", 5, headerSize+len(code))
	copy(b[28:], "GOXL")
	copy(b[headerSize:], code)
	return sum(b, checksumOff)
}
