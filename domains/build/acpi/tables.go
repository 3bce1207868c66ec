package acpi

import "encoding/binary"

// Every table starts with signature, length, revision, checksum, OEM id, OEM
// table id and revision, creator and its revision.
const (
	headerSize  = 36
	checksumOff = 9
	madtHead    = headerSize + 8 // where the first processor stands
)

// header starts a table of size bytes, header included.
func header(signature string, revision byte, size int) []byte {
	b := make([]byte, size)
	copy(b, signature)
	binary.LittleEndian.PutUint32(b[4:], uint32(size))
	b[8] = revision
	copy(b[10:], "Xen")  // OEM
	copy(b[16:], "HVM")  // OEM table
	copy(b[28:], "HVML") // creator: tables like those of hvmloader
	return b
}

// sum sets the byte at off so that all bytes add up to zero.
func sum(b []byte, off int) []byte {
	b[off] = 0
	var s byte
	for _, v := range b {
		s += v
	}
	b[off] = -s
	return b
}

func facs() []byte {
	b := make([]byte, 64)
	copy(b, "FACS")
	binary.LittleEndian.PutUint32(b[4:], 64)
	b[32] = 1 // version
	return b
}

// Flags of the FADT.
const (
	fadtWBInvd        = 1 << 0
	fadtProcC1        = 1 << 2
	fadtNoPowerButton = 1 << 4
	fadtNoSleepButton = 1 << 5
	fadtNoFixedRTC    = 1 << 6
	fadtTimer32       = 1 << 8
	fadtPlatformClock = 1 << 15

	bootNoVGA = 1 << 2
	bootNoRTC = 1 << 5
)

// fadt makes the fixed table of revision 1, which the RSDT lists, or 5. There is
// no PM timer; the ports of events and sleep control are named, as Xen's tools
// do, though nothing answers there.
func fadt(revision byte, facs, dsdt uint32) []byte {
	size := 116
	if revision >= 5 {
		size = 268
	}
	b := header("FACP", revision, size)
	le := binary.LittleEndian
	le.PutUint32(b[36:], facs)
	le.PutUint32(b[40:], dsdt)
	le.PutUint16(b[46:], 9)      // SCI interrupt
	le.PutUint32(b[56:], 0xb000) // PM1a event block
	le.PutUint32(b[64:], 0xb004) // PM1a control block
	le.PutUint32(b[80:], 0xafe0) // GPE0 block
	b[88], b[89], b[92] = 4, 2, 4
	le.PutUint16(b[96:], 0x0fff) // above 100: no C2
	le.PutUint16(b[98:], 0x0fff) // above 1000: no C3
	flags := uint32(fadtWBInvd | fadtProcC1 | fadtNoFixedRTC | fadtTimer32 | fadtPlatformClock)
	if revision >= 5 {
		flags |= fadtNoPowerButton | fadtNoSleepButton
		le.PutUint16(b[109:], bootNoVGA|bootNoRTC)
		portAddress(b[116:], 8, 0xcf9) // reset register
		b[128] = 6                     // and what to write there
		le.PutUint64(b[132:], uint64(facs))
		le.PutUint64(b[140:], uint64(dsdt))
		portAddress(b[148:], 32, 0xb000)
		portAddress(b[172:], 16, 0xb004)
	}
	le.PutUint32(b[112:], flags)
	return sum(b, checksumOff)
}

// portAddress writes a generic address in the space of I/O ports.
func portAddress(b []byte, bits byte, port uint64) {
	b[0], b[1] = 1, bits
	binary.LittleEndian.PutUint64(b[4:], port)
}

// apicID is the id of a vcpu's local APIC, as Xen numbers them.
func apicID(vcpu int) byte { return byte(2 * vcpu) }

func madt(c *Config) []byte {
	b := header("APIC", 2, madtHead+8*c.VCPUs)
	le := binary.LittleEndian
	le.PutUint32(b[headerSize:], LAPICAddr)
	le.PutUint32(b[headerSize+4:], 1) // PCAT_COMPAT
	for i := range c.VCPUs {
		p := b[madtHead+8*i:]
		p[1], p[2], p[3] = 8, byte(i), apicID(i)
		if c.Online(i) {
			p[4] = 1
		}
	}
	return sum(b, checksumOff)
}

func srat(c *Config) []byte {
	const head, cpu, mem = headerSize + 12, 16, 40
	b := header("SRAT", 1, head+cpu*c.VCPUs+mem*len(c.NUMA.Memory))
	le := binary.LittleEndian
	le.PutUint32(b[headerSize:], 1)
	for i := range c.VCPUs {
		p := b[head+cpu*i:]
		p[1], p[2], p[3], p[4] = cpu, byte(c.NUMA.NodeOf[i]), apicID(i), 1
	}
	for i, m := range c.NUMA.Memory {
		p := b[head+cpu*c.VCPUs+mem*i:]
		p[0], p[1] = 1, mem
		le.PutUint32(p[2:], uint32(m.Node))
		le.PutUint64(p[8:], m.Start)
		le.PutUint64(p[16:], m.End-m.Start)
		le.PutUint32(p[28:], 1)
	}
	return sum(b, checksumOff)
}

func slit(n *NUMA) []byte {
	nodes := len(n.Distance)
	b := header("SLIT", 1, headerSize+8+nodes*nodes)
	binary.LittleEndian.PutUint64(b[headerSize:], uint64(nodes))
	for i, row := range n.Distance {
		for j, d := range row {
			b[headerSize+8+i*nodes+j] = byte(d)
		}
	}
	return sum(b, checksumOff)
}

// root makes the RSDT (size 4) or XSDT (size 8).
func root(signature string, size int, entries []uint32) []byte {
	b := header(signature, 1, headerSize+size*len(entries))
	for i, e := range entries {
		binary.LittleEndian.PutUint32(b[headerSize+size*i:], e)
	}
	return sum(b, checksumOff)
}

// rsdp makes the root pointer, revision 2: its first 20 bytes have a sum of
// their own.
func rsdp(rsdt, xsdt uint32) []byte {
	b := make([]byte, rsdpRoom)
	le := binary.LittleEndian
	copy(b, "RSD PTR ")
	copy(b[9:], "Xen")
	b[15] = 2
	le.PutUint32(b[16:], rsdt)
	le.PutUint32(b[20:], 36)
	le.PutUint64(b[24:], uint64(xsdt))
	sum(b[:20], 8)
	sum(b[:36], 32)
	return b
}
