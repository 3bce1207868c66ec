package acpi

import (
	"encoding/binary"
	"fmt"
)

// Where things lie. Source: tools/libs/light/libxl_arch.h, tools/libacpi.
const (
	InfoAddr   = 0xfc000000 // ACPI_INFO_PHYSICAL_ADDRESS
	LAPICAddr  = 0xfee00000
	LowRSDP    = 0x100000 - rsdpRoom // the last place that the search below 1 MiB sees
	pageSize   = 4096
	tablesAddr = InfoAddr + pageSize
	maxPages   = 16
	rsdpRoom   = 64
)

// MaxVCPUs is how many processors a PVH guest can have: HVM_MAX_VCPUS.
const MaxVCPUs = 128

// Config says what the tables describe.
type Config struct {
	VCPUs   int
	Online  func(vcpu int) bool // whether a vcpu starts enabled; nil: all do
	LowRSDP bool                // put the root below 1 MiB, for kernels that look only there
	NUMA    *NUMA               // nil: no SRAT and SLIT
}

// NUMA is the guest's virtual topology.
type NUMA struct {
	NodeOf   []int   // by vcpu
	Distance [][]int // by node and node, 10 is "here"
	Memory   []Range
}

// Range is a piece of guest memory of one virtual node, in bytes.
type Range struct {
	Start, End uint64
	Node       int
}

// Module is a piece of guest memory. Modules[0] of Tables is the root pointer.
type Module struct {
	Addr uint64
	Data []byte
}

// Tables are the finished tables, in the order that Xen's tools list them in
// the memory map: root pointer, info page, tables.
type Tables struct {
	Modules []Module
}

// RSDP returns the guest-physical address of the root pointer.
func (t *Tables) RSDP() uint64 { return t.Modules[0].Addr }

// builder lays tables out from tablesAddr upward.
type builder struct {
	buf []byte
}

// add appends a table at the next multiple of align and returns its address.
func (b *builder) add(table []byte, align int) uint32 {
	b.buf = append(b.buf, make([]byte, -len(b.buf)&(align-1))...)
	addr := tablesAddr + uint32(len(b.buf))
	b.buf = append(b.buf, table...)
	return addr
}

// New makes the tables.
func New(c Config) (*Tables, error) {
	if c.VCPUs < 1 || c.VCPUs > MaxVCPUs {
		return nil, fmt.Errorf("acpi tables for %d vcpus: a PVH guest has 1 to %d", c.VCPUs, MaxVCPUs)
	}
	if c.Online == nil {
		c.Online = func(int) bool { return true }
	}
	var b builder
	facsAddr := b.add(facs(), 64)
	dsdtAddr := b.add(dsdt(c.VCPUs), 16)
	oldFADT := b.add(fadt(1, facsAddr, dsdtAddr), 16)
	newFADT := b.add(fadt(5, facsAddr, dsdtAddr), 16)
	madtAddr := b.add(madt(&c), 16)
	rest := []uint32{madtAddr}
	if c.NUMA != nil {
		rest = append(rest, b.add(srat(&c), 16), b.add(slit(c.NUMA), 16))
	}
	xsdt := b.add(root("XSDT", 8, append([]uint32{newFADT}, rest...)), 16)
	rsdt := b.add(root("RSDT", 4, append([]uint32{oldFADT}, rest...)), 16)

	pages := (len(b.buf) + pageSize - 1) / pageSize
	if pages > maxPages {
		return nil, fmt.Errorf("acpi tables take %d pages; there is room for %d", pages, maxPages)
	}
	tables := append(b.buf, make([]byte, pages*pageSize-len(b.buf))...)
	rsdpAddr := uint64(tablesAddr + pages*pageSize)
	if c.LowRSDP {
		rsdpAddr = LowRSDP
	}
	return &Tables{Modules: []Module{
		{rsdpAddr, rsdp(rsdt, xsdt)},
		{InfoAddr, info(c.VCPUs, madtAddr)},
		{tablesAddr, tables},
	}}, nil
}

// info is the page that the processors' AML reads. Source: struct acpi_info in
// tools/libacpi/build.c, field BIOS in dsdt_acpi_info.asl.
func info(vcpus int, madt uint32) []byte {
	b := make([]byte, pageSize)
	le := binary.LittleEndian
	le.PutUint16(b[2:], uint16(vcpus))
	le.PutUint32(b[12:], madt+checksumOff)
	le.PutUint32(b[16:], madt+madtHead)
	return b
}
