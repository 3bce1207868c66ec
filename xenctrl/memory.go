package xenctrl

import (
	"context"
	"encoding/binary"
	"fmt"
	"syscall"

	"goxl/xenctrl/abi"
)

// extentBatch is how many extents one hypercall names; ctx is looked at between.
const extentBatch = 8192

// Populate gives domain id memory: an extent of 1<<order pages for every pfn of
// at, with abi.Memf… flags. It returns how many extents it made; fewer than
// asked for without an error means that Xen had no more extents of that order
// (or, of order 0, that it is out of memory or the domain at its limit). For a
// PV domain out, which is nil or as long as at, gets the first machine frame
// of each extent.
func (h *Handle) Populate(ctx context.Context, id DomID, at []PFN, order uint, flags uint32, out []MFN) (int, error) {
	const op = "populate"
	done := 0
	for done < len(at) {
		if err := ctx.Err(); err != nil {
			return done, &OpError{op, id, context.Cause(ctx)}
		}
		batch := at[done:min(len(at), done+extentBatch)]
		var got []MFN
		if out != nil {
			got = out[done : done+len(batch)]
		}
		n, err := reserve(h, op, abi.MemPopulatePhysmap, id, batch, order, flags, got)
		done += n
		if err != nil || n < len(batch) {
			return done, err
		}
	}
	return done, nil
}

// DecreaseReservation takes extents of 1<<order pages from domain id: machine
// frames of a PV domain, GFNs otherwise. It returns how many it took.
func (h *Handle) DecreaseReservation(ctx context.Context, id DomID, frames []GFN, order uint) (int, error) {
	const op = "decrease reservation"
	done := 0
	for done < len(frames) {
		if err := ctx.Err(); err != nil {
			return done, &OpError{op, id, context.Cause(ctx)}
		}
		batch := frames[done:min(len(frames), done+extentBatch)]
		n, err := reserve[GFN, GFN](h, op, abi.MemDecreaseReservation, id, batch, order, 0, nil)
		done += n
		if err != nil || n < len(batch) {
			return done, err
		}
	}
	return done, nil
}

// reserve makes one hypercall that takes an array of extents.
func reserve[In, Out ~uint64](h *Handle, op string, cmd uint32, id DomID, in []In, order uint, flags uint32, out []Out) (int, error) {
	c, err := h.begin(8 * len(in))
	if err != nil {
		return 0, &OpError{op, id, err}
	}
	defer c.end()
	put64s(c.data(), in)
	abi.AppendReservation(c.arg(), abi.Reservation{
		Extents: c.addr(0), Count: uint64(len(in)), Order: uint32(order), Flags: flags, Dom: id,
	})
	n, _, err := c.command(op, abi.OpMemory, cmd, id)
	if err != nil {
		return 0, err
	}
	done := min(int(n), len(in))
	if out != nil {
		get64s(out[:done], c.data())
	}
	return done, nil
}

// ClaimPages sets aside free memory so that domain id can grow to total pages,
// those it has included; 0 gives a claim back. ErrNoMemory says that there is
// not enough.
func (h *Handle) ClaimPages(id DomID, total Pages) error {
	const op = "claim memory"
	c, err := h.begin(0)
	if err != nil {
		return &OpError{op, id, err}
	}
	defer c.end()
	abi.AppendReservation(c.arg(), abi.Reservation{Count: uint64(total), Dom: id})
	_, _, err = c.command(op, abi.OpMemory, abi.MemClaimPages, id)
	return err
}

// SetMemoryMap sets the E820 map that a PV or PVH domain reads, at most 128 entries.
func (h *Handle) SetMemoryMap(id DomID, entries []E820Entry) error {
	const op = "set memory map"
	if len(entries) > abi.MaxE820 {
		return &OpError{op, id, fmt.Errorf("%d entries, at most %d: %w", len(entries), abi.MaxE820, syscall.E2BIG)}
	}
	c, err := h.begin(len(entries) * abi.E820EntrySize)
	if err != nil {
		return &OpError{op, id, err}
	}
	defer c.end()
	dst := c.data()[:0]
	for _, e := range entries {
		dst = abi.AppendE820(dst, e)
	}
	abi.AppendForeignMemoryMap(c.arg(), id, uint32(len(entries)), c.addr(0))
	_, _, err = c.command(op, abi.OpMemory, abi.MemSetMemoryMap, id)
	return err
}

// MachineMemoryMap returns the host's E820 map.
func (h *Handle) MachineMemoryMap() ([]E820Entry, error) {
	const op = "get machine memory map"
	const room = 1024
	c, err := h.begin(room * abi.E820EntrySize)
	if err != nil {
		return nil, hostError(op, err)
	}
	defer c.end()
	abi.AppendMemoryMap(c.arg(), room, c.addr(0))
	_, b, err := c.command(op, abi.OpMemory, abi.MemMachineMemoryMap, abi.DomInvalid)
	if err != nil {
		return nil, err
	}
	out := make([]E820Entry, min(abi.ParseCount(b), room))
	for i := range out {
		out[i] = abi.ParseE820(c.data()[i*abi.E820EntrySize:])
	}
	return out, nil
}

// AddToPhysmap puts a page of one of the spaces abi.Space… at gfn of domain id;
// idx says which page of the space, size how many of SpaceGMFNRange.
func (h *Handle) AddToPhysmap(id DomID, space uint32, idx uint64, gfn GFN, size uint16) error {
	const op = "add to physmap"
	c, err := h.begin(0)
	if err != nil {
		return &OpError{op, id, err}
	}
	defer c.end()
	abi.AppendAddToPhysmap(c.arg(), id, size, space, idx, gfn)
	_, _, err = c.command(op, abi.OpMemory, abi.MemAddToPhysmap, id)
	return err
}

// RemoveFromPhysmap leaves a hole at gfn of domain id.
func (h *Handle) RemoveFromPhysmap(id DomID, gfn GFN) error {
	const op = "remove from physmap"
	c, err := h.begin(0)
	if err != nil {
		return &OpError{op, id, err}
	}
	defer c.end()
	abi.AppendRemoveFromPhysmap(c.arg(), id, gfn)
	_, _, err = c.command(op, abi.OpMemory, abi.MemRemoveFromPhysmap, id)
	return err
}

// MaximumGPFN returns the highest frame that domain id uses.
func (h *Handle) MaximumGPFN(id DomID) (GFN, error) {
	n, err := h.memQuery("get highest frame", abi.MemMaximumGPFN, id)
	return GFN(n), err
}

// CurrentReservation returns how much memory domain id owns.
func (h *Handle) CurrentReservation(id DomID) (Pages, error) {
	n, err := h.memQuery("get reservation", abi.MemCurrentReservation, id)
	return Pages(n), err
}

func (h *Handle) memQuery(op string, cmd uint32, id DomID) (int64, error) {
	c, err := h.begin(0)
	if err != nil {
		return 0, &OpError{op, id, err}
	}
	defer c.end()
	abi.AppendDomIDArg(c.arg(), id)
	n, _, err := c.command(op, abi.OpMemory, cmd, id)
	return n, err
}

// MaximumRAMPage returns the highest machine frame that is memory.
func (h *Handle) MaximumRAMPage() (MFN, error) {
	n, err := h.memNumber("get highest RAM page", abi.MemMaximumRAMPage)
	return MFN(n), err
}

// SharingFreedPages returns how many pages memory sharing has saved.
func (h *Handle) SharingFreedPages() (Pages, error) {
	n, err := h.memNumber("get sharing freed pages", abi.MemSharingFreedPages)
	return Pages(n), err
}

// SharingUsedPages returns how many pages are shared.
func (h *Handle) SharingUsedPages() (Pages, error) {
	n, err := h.memNumber("get sharing used pages", abi.MemSharingUsedPages)
	return Pages(n), err
}

// memNumber makes a query that has no argument.
func (h *Handle) memNumber(op string, cmd uint32) (int64, error) {
	n, err := h.hypercall(abi.OpMemory, cmd, [5]uint64{uint64(cmd)})
	if err != nil {
		return 0, hostError(op, err)
	}
	return n, nil
}

// SetPODTarget sets how many pages a populate-on-demand domain is to have, and
// returns the state after it.
func (h *Handle) SetPODTarget(id DomID, target Pages) (abi.PODTarget, error) {
	return h.podTarget("set populate-on-demand target", abi.MemSetPODTarget, id, target)
}

// PODTarget returns the populate-on-demand state of domain id.
func (h *Handle) PODTarget(id DomID) (abi.PODTarget, error) {
	return h.podTarget("get populate-on-demand target", abi.MemGetPODTarget, id, 0)
}

func (h *Handle) podTarget(op string, cmd uint32, id DomID, target Pages) (abi.PODTarget, error) {
	c, err := h.begin(0)
	if err != nil {
		return abi.PODTarget{}, &OpError{op, id, err}
	}
	defer c.end()
	abi.AppendPODTarget(c.arg(), id, target)
	_, b, err := c.command(op, abi.OpMemory, cmd, id)
	if err != nil {
		return abi.PODTarget{}, err
	}
	return abi.ParsePODTarget(b), nil
}

// HostReservedMemory returns the ranges that some device of the host needs
// mapped one to one, or those of one device.
func (h *Handle) HostReservedMemory(dev *abi.PCIDevice) ([]abi.ReservedMemory, error) {
	const op = "get reserved device memory"
	const room = 512
	c, err := h.begin(room * abi.ReservedMemorySize)
	if err != nil {
		return nil, hostError(op, err)
	}
	defer c.end()
	flags, d := uint32(abi.RDMAll), abi.PCIDevice{}
	if dev != nil {
		flags, d = 0, *dev
	}
	abi.AppendReservedDeviceMap(c.arg(), flags, room, c.addr(0), d)
	_, b, err := c.command(op, abi.OpMemory, abi.MemReservedDeviceMap, abi.DomInvalid)
	if err != nil {
		return nil, err
	}
	out := make([]abi.ReservedMemory, min(abi.ParseReservedDeviceMap(b), room))
	for i := range out {
		out[i] = abi.ParseReservedMemory(c.data()[i*abi.ReservedMemorySize:])
	}
	return out, nil
}

// MachphysFrames returns the machine frames that hold Xen's table of which pfn
// each machine frame is, one for every 2 MiB; they are mapped as memory of
// abi.DomXen.
func (h *Handle) MachphysFrames() ([]GFN, error) {
	const op = "get machine-to-physical frames"
	top, err := h.MaximumRAMPage()
	if err != nil {
		return nil, err
	}
	n := int((uint64(top)+1)*8>>21) + 1
	c, err := h.begin(8 * n)
	if err != nil {
		return nil, hostError(op, err)
	}
	defer c.end()
	abi.AppendMachphysMFNList(c.arg(), uint32(n), c.addr(0))
	_, b, err := c.command(op, abi.OpMemory, abi.MemMachphysMFNList, abi.DomInvalid)
	if err != nil {
		return nil, err
	}
	out := make([]GFN, min(int(abi.ParseMachphysMFNList(b)), n))
	get64s(out, c.data())
	return out, nil
}

// PinTable validates the page table in frame mfn of PV domain id and keeps it
// valid: level 1 to 4. No writable mapping of a page table may exist.
func (h *Handle) PinTable(id DomID, level int, mfn MFN) error {
	return h.mmuExt(fmt.Sprintf("pin level %d table", level), id,
		abi.MMUExtOp{Cmd: abi.MMUExtPinL1 + uint32(level) - 1, Frame: mfn})
}

// UnpinTable takes back a PinTable.
func (h *Handle) UnpinTable(id DomID, mfn MFN) error {
	return h.mmuExt("unpin table", id, abi.MMUExtOp{Cmd: abi.MMUExtUnpin, Frame: mfn})
}

func (h *Handle) mmuExt(op string, id DomID, o abi.MMUExtOp) error {
	c, err := h.begin(0)
	if err != nil {
		return &OpError{op, id, err}
	}
	defer c.end()
	abi.AppendMMUExt(c.arg(), o)
	if _, err := h.hypercall(abi.OpMMUExt, o.Cmd, [5]uint64{c.buf.addr, 1, 0, uint64(id)}); err != nil {
		return &OpError{op, id, err}
	}
	return nil
}

// SetMachphys tells Xen, for each machine frame of PV domain id, which pfn it
// is. Populate does so by itself; a restore needs it.
func (h *Handle) SetMachphys(id DomID, frames []MFN, pfns []PFN) error {
	const op = "update machine-to-physical table"
	const batch = 1024
	for len(frames) > 0 {
		n := min(len(frames), batch)
		c, err := h.begin(n * abi.MMUUpdateSize)
		if err != nil {
			return &OpError{op, id, err}
		}
		for i := range n {
			b := c.data()[i*abi.MMUUpdateSize:]
			binary.LittleEndian.PutUint64(b, uint64(frames[i])<<abi.PageShift|abi.MMUMachphysUpdate)
			binary.LittleEndian.PutUint64(b[8:], uint64(pfns[i]))
		}
		_, err = h.hypercall(abi.OpMMUUpdate, 0, [5]uint64{c.addr(0), uint64(n), 0, uint64(id)})
		c.end()
		if err != nil {
			return &OpError{op, id, err}
		}
		frames, pfns = frames[n:], pfns[n:]
	}
	return nil
}
