package build

import (
	"encoding/binary"

	"goxl/domains/image"
	"goxl/xenctrl/abi"
)

var le = binary.LittleEndian

// Flags of the start info. Source: xen/include/public/xen.h, SIF_*.
const sifModStartPFN = 8 // mod_start is a page number

// maxCmdLine is what start info has room for, the final NUL included.
const maxCmdLine = 1024

// pvStart is what the start info page tells.
type pvStart struct {
	guestType   string
	pages       abi.Pages
	sharedInfo  abi.MFN
	flags       uint32
	store       abi.MFN
	storePort   abi.Port
	console     abi.MFN
	consolePort abi.Port
	tables      uint64 // virtual address of the root
	tablePages  uint64
	p2m         uint64
	modStart    uint64
	modLen      uint64
	cmdLine     string
	firstP2M    abi.PFN
	p2mFrames   abi.Pages
	p2mOfItsOwn bool
}

// bytes returns the start info page. Source: xen/include/public/xen.h,
// struct start_info on x86_64.
func (s *pvStart) bytes() []byte {
	b := make([]byte, abi.PageSize)
	copy(b[:31], s.guestType)
	le.PutUint64(b[32:], uint64(s.pages))
	le.PutUint64(b[40:], uint64(s.sharedInfo)<<abi.PageShift)
	le.PutUint32(b[48:], s.flags)
	le.PutUint64(b[56:], uint64(s.store))
	le.PutUint32(b[64:], uint32(s.storePort))
	le.PutUint64(b[72:], uint64(s.console))
	le.PutUint32(b[80:], uint32(s.consolePort))
	le.PutUint64(b[88:], s.tables)
	le.PutUint64(b[96:], s.tablePages)
	le.PutUint64(b[104:], s.p2m)
	le.PutUint64(b[112:], s.modStart)
	le.PutUint64(b[120:], s.modLen)
	copy(b[128:128+maxCmdLine-1], s.cmdLine)
	if s.p2mOfItsOwn {
		le.PutUint64(b[1152:], uint64(s.firstP2M))
		le.PutUint64(b[1160:], uint64(s.p2mFrames))
	}
	return b
}

// legacyVCPUs is how many vcpus have their state in the shared info page.
const legacyVCPUs = 32

// clearSharedInfo makes b, a domain's shared info page, that of a guest that
// has not started: nothing pending, event delivery masked.
func clearSharedInfo(b []byte) {
	clear(b)
	for i := range legacyVCPUs {
		b[i*64+1] = 1 // vcpu_info[i].evtchn_upcall_mask
	}
}

// Segments of a flat 64-bit PV kernel. Source: xen/include/public/arch-x86.
const (
	pvCodeSegment  = 0xe033
	pvStackSegment = 0xe02b

	vgcfInKernel = 1 << 2
	vgcfOnline   = 1 << 5

	debug6 = 0xffff0ff0
	debug7 = 0x400
)

// pvContextSize is the size of vcpu_guest_context on x86_64.
const pvContextSize = 5168

// pvContext returns the first vcpu's registers. Source:
// xen/include/public/arch-x86/xen.h, struct vcpu_guest_context.
func pvContext(pv *image.PV, l *pvLayout, root abi.MFN) []byte {
	b := make([]byte, pvContextSize)
	stack := l.addr(l.stack + 1)
	le.PutUint64(b[512:], vgcfInKernel|vgcfOnline)
	le.PutUint64(b[624:], l.addr(l.startInfo)) // rsi
	le.PutUint64(b[648:], pv.Entry)            // rip
	le.PutUint16(b[656:], pvCodeSegment)
	le.PutUint64(b[664:], 1<<9) // rflags: interrupts on
	le.PutUint64(b[672:], stack)
	le.PutUint16(b[680:], pvStackSegment)
	le.PutUint64(b[4968:], pvStackSegment) // kernel_ss
	le.PutUint64(b[4976:], stack)
	le.PutUint64(b[4984+3*8:], uint64(root)<<abi.PageShift) // cr3
	le.PutUint64(b[5048+6*8:], debug6)
	le.PutUint64(b[5048+7*8:], debug7)
	return b
}
