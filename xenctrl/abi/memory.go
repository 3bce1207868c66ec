package abi

// Flags of a memory reservation. Source: memory.h, XENMEMF_*.
const (
	MemfPopulateOnDemand = 1 << 16
	MemfExactNode        = 1 << 17
	MemfVNode            = 1 << 18
)

// MemfNode returns the flags that ask for memory of a NUMA node.
func MemfNode(node uint32) uint32 { return (node + 1) & 0xff << 8 }

// MemfAddressBits returns the flags that ask for memory below 2^bits.
func MemfAddressBits(bits uint32) uint32 { return bits & 0xff }

// Reservation is the argument of populate_physmap, decrease_reservation and
// claim_pages.
type Reservation struct {
	Extents uint64 // address of an array of frame numbers
	Count   uint64
	Order   uint32 // an extent has 1<<Order pages
	Flags   uint32
	Dom     DomID
}

// ReservationSize is sizeof(struct xen_memory_reservation).
const ReservationSize = 32

// AppendReservation appends r.
func AppendReservation(b []byte, r Reservation) []byte {
	b = append64(b, r.Extents, r.Count)
	b = append32(b, r.Order, r.Flags)
	return pad(append16(b, uint16(r.Dom)), 6)
}

// Spaces of add_to_physmap. Source: memory.h, XENMAPSPACE_*.
const (
	SpaceSharedInfo  = 0
	SpaceGrantTable  = 1
	SpaceGMFN        = 2
	SpaceGMFNRange   = 3
	SpaceGMFNForeign = 4
	SpaceDevMMIO     = 5

	GrantStatusIndex = 1 << 31 // in idx of SpaceGrantTable: a status frame
)

// AppendAddToPhysmap appends the argument of add_to_physmap.
func AppendAddToPhysmap(b []byte, dom DomID, size uint16, space uint32, idx uint64, gfn GFN) []byte {
	b = append16(b, uint16(dom), size)
	b = append32(b, space)
	return append64(b, idx, uint64(gfn))
}

// AppendAddToPhysmapBatch appends the argument of add_to_physmap_batch: arrays
// of n indices (u64), frames (u64) and errors (i32). Foreign is the source
// domain of SpaceGMFNForeign and 0 otherwise.
func AppendAddToPhysmapBatch(b []byte, dom DomID, space, n uint16, foreign DomID, idxs, gfns, errs uint64) []byte {
	b = append16(b, uint16(dom), space, n, uint16(foreign))
	return append64(b, idxs, gfns, errs)
}

// AppendRemoveFromPhysmap appends the argument of remove_from_physmap.
func AppendRemoveFromPhysmap(b []byte, dom DomID, gfn GFN) []byte {
	b = pad(append16(b, uint16(dom)), 6)
	return append64(b, uint64(gfn))
}

// Types of E820 entries. Source: hvm/e820.h.
const (
	E820RAM      = 1
	E820Reserved = 2
	E820ACPI     = 3
	E820NVS      = 4
	E820Unusable = 5

	MaxE820 = 128 // E820MAX: entries in one map
)

// E820Entry is a range of guest physical addresses.
type E820Entry struct {
	Addr, Size uint64 // bytes
	Type       uint32
}

// E820EntrySize is the size of a packed entry.
const E820EntrySize = 20

// AppendE820 appends one packed entry.
func AppendE820(b []byte, e E820Entry) []byte {
	return append32(append64(b, e.Addr, e.Size), e.Type)
}

// ParseE820 reads one packed entry.
func ParseE820(b []byte) E820Entry { return E820Entry{get64(b, 0), get64(b, 8), get32(b, 16)} }

// AppendMemoryMap appends the argument of machine_memory_map: room for n entries.
func AppendMemoryMap(b []byte, n uint32, addr uint64) []byte {
	return append64(append32(b, n, 0), addr)
}

// AppendForeignMemoryMap appends the argument of set_memory_map.
func AppendForeignMemoryMap(b []byte, dom DomID, n uint32, addr uint64) []byte {
	b = pad(append16(b, uint16(dom)), 6)
	return AppendMemoryMap(b, n, addr)
}

// AppendDomIDArg appends the bare domid that maximum_gpfn and the reservation
// queries take.
func AppendDomIDArg(b []byte, dom DomID) []byte { return append16(b, uint16(dom)) }

// PODTarget is the state of populate-on-demand.
type PODTarget struct {
	Target  Pages // in: total pages the domain is to have
	Total   Pages // out
	Cache   Pages // out: pages waiting in the cache
	Entries Pages // out: pages still to be populated
}

// AppendPODTarget appends the argument of set/get_pod_target.
func AppendPODTarget(b []byte, dom DomID, target Pages) []byte {
	b = append64(b, uint64(target), 0, 0, 0)
	return pad(append16(b, uint16(dom)), 6)
}

// ParsePODTarget reads the answer.
func ParsePODTarget(b []byte) PODTarget {
	return PODTarget{Pages(get64(b, 0)), Pages(get64(b, 8)), Pages(get64(b, 16)), Pages(get64(b, 24))}
}

// AppendMachphysMFNList appends the argument of machphys_mfn_list.
func AppendMachphysMFNList(b []byte, max uint32, addr uint64) []byte {
	b = append64(append32(b, max, 0), addr)
	return pad(b, 8)
}

// ParseMachphysMFNList returns the number of extents in the answer.
func ParseMachphysMFNList(b []byte) uint32 { return get32(b, 16) }

// Flags of a reserved device memory query. Source: memory.h, XENMEM_RDM_ALL.
const RDMAll = 1

// AppendReservedDeviceMap appends the argument of reserved_device_memory_map.
func AppendReservedDeviceMap(b []byte, flags, n uint32, addr uint64, dev PCIDevice) []byte {
	b = append32(b, flags, n)
	b = append64(b, addr)
	return pad(AppendPCIDevice(b, dev), 4)
}

// ParseReservedDeviceMap returns the number of entries in the answer.
func ParseReservedDeviceMap(b []byte) uint32 { return get32(b, 4) }

// ReservedMemory is a range that a device needs mapped one to one.
type ReservedMemory struct {
	Start PFN
	Pages Pages
}

// ReservedMemorySize is sizeof(struct xen_reserved_device_memory).
const ReservedMemorySize = 16

// ParseReservedMemory reads one element of the array.
func ParseReservedMemory(b []byte) ReservedMemory {
	return ReservedMemory{PFN(get64(b, 0)), Pages(get64(b, 8))}
}

// Types of acquire_resource. Source: memory.h, XENMEM_resource_*.
const (
	ResourceIOReqServer = 0
	ResourceGrantTable  = 1
	ResourceVMTrace     = 2 // 4.15

	ResourceGrantShared = 0 // ids of ResourceGrantTable
	ResourceGrantStatus = 1
)

// AppendAcquireResource appends the argument of acquire_resource. Frames 0 with
// address 0 asks for the size.
func AppendAcquireResource(b []byte, dom DomID, typ uint16, id, frames uint32, first, addr uint64) []byte {
	b = append16(b, uint16(dom), typ)
	b = append32(b, id, frames, 0)
	return append64(b, first, addr)
}

// ParseAcquireResource returns the number of frames in the answer.
func ParseAcquireResource(b []byte) uint32 { return get32(b, 8) }
