package abi

// AppendIRQPermission appends the argument of irq_permission. Before domctl
// 0x14 the pirq was one byte.
func AppendIRQPermission(b []byte, v Version, pirq uint32, allow bool) ([]byte, error) {
	if v.Domctl >= 0x14 {
		return append8(append32(b, pirq), bool8(allow), 0, 0, 0), nil
	}
	if pirq > 0xff {
		return nil, &UnsupportedError{What: "a pirq above 255", Since: "Xen 4.16", Have: v}
	}
	return append8(b, uint8(pirq), bool8(allow)), nil
}

// AppendGSIPermission appends the argument of gsi_permission (4.20).
func AppendGSIPermission(b []byte, gsi uint32, allow bool) []byte {
	return append32(b, gsi, bool32(allow))
}

// AppendIOMemPermission appends the argument of iomem_permission.
func AppendIOMemPermission(b []byte, first MFN, n uint64, allow bool) []byte {
	b = append64(b, uint64(first), n)
	return append8(b, bool8(allow), 0, 0, 0, 0, 0, 0, 0)
}

// AppendIOPortPermission appends the argument of ioport_permission.
func AppendIOPortPermission(b []byte, first, n uint32, allow bool) []byte {
	b = append32(b, first, n)
	return append8(b, bool8(allow), 0, 0, 0)
}

// MaxMemoryMapping is how many frames one memory_mapping may name.
const MaxMemoryMapping = 64

// AppendMemoryMapping appends the argument of memory_mapping: machine frames
// that appear in a guest's address space.
func AppendMemoryMapping(b []byte, gfn GFN, mfn MFN, n uint64, add bool) []byte {
	b = append64(b, uint64(gfn), uint64(mfn), n)
	return append32(b, bool32(add), 0)
}

// AppendIOPortMapping appends the argument of ioport_mapping.
func AppendIOPortMapping(b []byte, gport, mport, n uint32, add bool) []byte {
	return append32(b, gport, mport, n, bool32(add))
}

// AppendAssignPCI appends the argument of assign_device, test_assign_device and
// deassign_device for a PCI device: seg<<16 | bus<<8 | devfn.
func AppendAssignPCI(b []byte, sbdf, flags uint32) []byte {
	return pad(append32(b, 0, flags, sbdf), 12)
}
