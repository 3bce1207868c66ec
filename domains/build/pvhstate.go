package build

import (
	"errors"
	"fmt"

	"goxl/xenctrl/abi"
)

// Sizes in the start info of a guest in a HVM container. Source:
// xen/include/public/arch-x86/hvm/start_info.h.
const (
	hvmStartMagic = 0x336ec578
	hvmStartSize  = 56
	hvmModuleSize = 32
	hvmMemmapSize = 24
	hvmMaxModules = 2 // kernel and ramdisk of a shim: what Xen's tools make room for
	hvmModuleText = maxCmdLine
	hvmVersion    = 1
)

// pvhStart is what the start info tells, all addresses guest-physical.
type pvhStart struct {
	addr    uint64 // of the start info itself
	cmdLine string
	modules []pvhModule
	rsdp    uint64
	memory  []abi.E820Entry
}

type pvhModule struct {
	addr, size uint64
	cmdLine    string
}

// pvhStartSize is how much room a start info takes: the header, the command
// line, two modules, their command lines, the memory map.
func pvhStartSize(cmdLine string, regions int) uint64 {
	return hvmStartSize + cmdLineRoom(cmdLine) + hvmMaxModules*(hvmModuleSize+hvmModuleText) +
		uint64(regions)*hvmMemmapSize
}

func cmdLineRoom(s string) uint64 {
	if s == "" {
		return 0
	}
	return (uint64(len(s)) + 1 + 7) &^ 7
}

// bytes returns the start info with everything that it points at.
func (s *pvhStart) bytes() []byte {
	b := make([]byte, pvhStartSize(s.cmdLine, len(s.memory)))
	le.PutUint32(b, hvmStartMagic)
	le.PutUint32(b[4:], hvmVersion)
	le.PutUint32(b[12:], uint32(len(s.modules)))
	le.PutUint64(b[32:], s.rsdp)
	if s.cmdLine != "" {
		le.PutUint64(b[24:], s.addr+hvmStartSize)
		copy(b[hvmStartSize:], s.cmdLine)
	}
	mods := hvmStartSize + cmdLineRoom(s.cmdLine)
	texts := mods + hvmMaxModules*hvmModuleSize
	if len(s.modules) > 0 {
		le.PutUint64(b[16:], s.addr+mods)
	}
	for i, m := range s.modules {
		e, text := b[mods+uint64(i)*hvmModuleSize:], texts+uint64(i)*hvmModuleText
		le.PutUint64(e, m.addr)
		le.PutUint64(e[8:], m.size)
		if m.cmdLine != "" {
			le.PutUint64(e[16:], s.addr+text)
			copy(b[text:text+hvmModuleText-1], m.cmdLine)
		}
	}
	mem := texts + hvmMaxModules*hvmModuleText
	le.PutUint64(b[40:], s.addr+mem)
	le.PutUint32(b[48:], uint32(len(s.memory)))
	for i, r := range s.memory {
		e := b[mem+uint64(i)*hvmMemmapSize:]
		le.PutUint64(e, r.Addr)
		le.PutUint64(e[8:], r.Size)
		le.PutUint32(e[16:], r.Type)
	}
	return b
}

// identityPageTable is a 32-bit page directory of 4 MiB pages, each at its own
// address: what an Intel processor without "unrestricted guest" runs a guest on
// that has paging off.
func identityPageTable() []byte {
	b := make([]byte, abi.PageSize)
	for i := range uint32(abi.PageSize / 4) {
		le.PutUint32(b[i*4:], i<<22|0xe7)
	}
	return b
}

// Records of a HVM context. Source: xen/include/public/arch-x86/hvm/save.h.
const (
	recEnd     = 0
	recHeader  = 1
	recCPU     = 2
	recMTRR    = 14
	recCPUSize = 1032

	mtrrDefType   = 232
	mtrrWriteBack = 0x806 // on, everything write-back
)

// record is a piece of a HVM context.
type record struct {
	kind, instance uint16
	data           []byte
}

// findRecord returns the payload of a record in the context ctx.
func findRecord(ctx []byte, kind, instance uint16) ([]byte, error) {
	for len(ctx) >= 8 {
		k, i, n := le.Uint16(ctx), le.Uint16(ctx[2:]), le.Uint32(ctx[4:])
		if uint64(n) > uint64(len(ctx)-8) {
			return nil, errors.New("hvm context: a record is cut short")
		}
		data := ctx[8 : 8+n]
		if k == kind && i == instance {
			return data, nil
		}
		if k == recEnd {
			break
		}
		ctx = ctx[8+n:]
	}
	return nil, fmt.Errorf("hvm context: no record of type %d for vcpu %d", kind, instance)
}

// hvmContext puts records, and the end mark, into the form that Xen takes.
func hvmContext(recs ...record) []byte {
	var b []byte
	for _, r := range append(recs, record{kind: recEnd}) {
		b = le.AppendUint16(b, r.kind)
		b = le.AppendUint16(b, r.instance)
		b = le.AppendUint32(b, uint32(len(r.data)))
		b = append(b, r.data...)
	}
	return b
}

// bootCPU is the state that a PVH kernel is entered in: 32-bit protected mode,
// flat segments, no paging, the start info's address in ebx.
func bootCPU(entry uint32, startInfo uint64) []byte {
	b := make([]byte, recCPUSize)
	le.PutUint64(b[520:], startInfo)
	le.PutUint64(b[640:], uint64(entry))
	le.PutUint64(b[656:], 0x11) // cr0: protected mode, ET
	le.PutUint64(b[720:], debug6)
	le.PutUint64(b[728:], debug7)
	for _, limit := range []int{768, 772, 776, 788} { // cs, ds, es, ss
		le.PutUint32(b[limit:], 0xffffffff)
	}
	le.PutUint32(b[792:], 0x67)  // tr
	le.PutUint32(b[888:], 0xc9b) // cs: 32-bit code
	for _, seg := range []int{892, 896, 908} {
		le.PutUint32(b[seg:], 0xc93) // ds, es, ss: data
	}
	le.PutUint32(b[912:], 0x8b) // tr: busy task
	return b
}
