package xenctrl

import (
	"bytes"
	"fmt"
	"syscall"

	"goxl/xenctrl/abi"
)

// maxHVMContext bounds what a size query may make us allocate.
const maxHVMContext = 16 << 20

// HVMContext returns the state of an HVM or PVH domain's vcpus and devices, as
// a chain of records (hvm/save.h).
func (h *Handle) HVMContext(id DomID) ([]byte, error) {
	const op = "get hvm context"
	size, err := h.hvmContext(op, abi.DomctlGetHVMContext, id, nil)
	if err != nil {
		return nil, err
	}
	if size > maxHVMContext {
		return nil, &OpError{op, id, fmt.Errorf("%d bytes: %w", size, syscall.EMSGSIZE)}
	}
	b := make([]byte, size)
	n, err := h.hvmContext(op, abi.DomctlGetHVMContext, id, b)
	if err != nil {
		return nil, err
	}
	return b[:min(int(n), len(b))], nil
}

// SetHVMContext replaces the state by a chain of records. Each call marks all
// vcpus down first, so the boot vcpu's record belongs into the last one.
func (h *Handle) SetHVMContext(id DomID, b []byte) error {
	_, err := h.hvmContext("set hvm context", abi.DomctlSetHVMContext, id, b)
	return err
}

func (h *Handle) hvmContext(op string, cmd uint32, id DomID, b []byte) (uint32, error) {
	c, err := h.begin(len(b))
	if err != nil {
		return 0, &OpError{op, id, err}
	}
	defer c.end()
	addr := c.addr(0)
	if b == nil {
		addr = 0
	}
	copy(c.data(), b)
	abi.AppendHVMContext(c.domArg(), uint32(len(b)), addr)
	_, ans, err := c.domctl(op, cmd, id)
	if err != nil {
		return 0, err
	}
	size := abi.ParseHVMContextSize(ans)
	if cmd == abi.DomctlGetHVMContext {
		copy(b, c.data())
	}
	return size, nil
}

// HVMContextPartial returns the payload of one record: its type and vcpu.
func (h *Handle) HVMContextPartial(id DomID, typ, vcpu uint32) ([]byte, error) {
	const op = "get hvm record"
	const room = 8192 // every record is smaller
	c, err := h.begin(room)
	if err != nil {
		return nil, &OpError{op, id, err}
	}
	defer c.end()
	abi.AppendHVMContextPartial(c.domArg(), typ, vcpu, room, c.addr(0))
	_, ans, err := c.domctl(op, abi.DomctlGetHVMContextPart, id)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(c.data()[:min(room, abi.ParseHVMContextPartialSize(ans))]), nil
}

// HVMParam returns parameter index (abi.Param…) of an HVM or PVH domain.
func (h *Handle) HVMParam(id DomID, index uint32) (uint64, error) {
	return h.hvmParam("get hvm parameter", abi.HVMGetParam, id, index, 0)
}

// SetHVMParam sets parameter index (abi.Param…) of an HVM or PVH domain.
func (h *Handle) SetHVMParam(id DomID, index uint32, value uint64) error {
	_, err := h.hvmParam("set hvm parameter", abi.HVMSetParam, id, index, value)
	return err
}

func (h *Handle) hvmParam(op string, cmd uint32, id DomID, index uint32, value uint64) (uint64, error) {
	op = fmt.Sprintf("%s %d", op, index)
	c, err := h.begin(0)
	if err != nil {
		return 0, &OpError{op, id, err}
	}
	defer c.end()
	abi.AppendHVMParam(c.arg(), id, index, value)
	_, b, err := c.command(op, abi.OpHVM, cmd, id)
	if err != nil {
		return 0, err
	}
	return abi.ParseHVMParam(b), nil
}

// SetPagingMempool sizes the memory that Xen keeps for the page tables of an
// HVM or PVH domain, which must have its vcpus. Before Xen 4.17 it is rounded
// up to MiB. A failed growth (ErrNoMemory) may leave a part.
func (h *Handle) SetPagingMempool(id DomID, size KiB) error {
	const op = "set paging pool"
	if h.Has(PagingMempool) {
		bytes := (uint64(size)<<10 + abi.PageSize - 1) &^ (abi.PageSize - 1)
		return h.domctl(op, abi.DomctlSetPagingMempool, id, abi.AppendPagingMempool(nil, bytes))
	}
	_, err := h.shadowOp(op, id, abi.ShadowOp{Op: abi.ShadowSetAllocation, MiB: uint32((size + 1023) >> 10)})
	return err
}

// PagingMempool returns the size of that memory, in whole MiB before Xen 4.17.
func (h *Handle) PagingMempool(id DomID) (KiB, error) {
	const op = "get paging pool"
	if !h.Has(PagingMempool) {
		s, err := h.shadowOp(op, id, abi.ShadowOp{Op: abi.ShadowGetAllocation})
		return KiB(s.MiB) << 10, err
	}
	c, err := h.begin(0)
	if err != nil {
		return 0, &OpError{op, id, err}
	}
	defer c.end()
	_, b, err := c.domctl(op, abi.DomctlGetPagingMempool, id)
	if err != nil {
		return 0, err
	}
	return KiB(abi.ParsePagingMempool(b) >> 10), nil
}

// PinMemoryCacheAttr fixes the cache attribute of guest frames start to end.
func (h *Handle) PinMemoryCacheAttr(id DomID, start, end GFN, typ uint32) error {
	return h.dmOp("pin cache attribute", id, abi.DMPinMemoryCacheAttr,
		abi.AppendDMPinCacheAttr(nil, uint64(start), uint64(end), typ))
}

// ModifiedMemory marks frames as dirty that we wrote by ourselves.
func (h *Handle) ModifiedMemory(id DomID, first PFN, n uint32) error {
	return h.dmOp("mark memory dirty", id, abi.DMModifiedMemory,
		abi.AppendDMModifiedMemory(nil, 1), abi.AppendDMExtent(nil, n, first))
}

// dmOp makes a device model operation with further buffers.
func (h *Handle) dmOp(op string, id DomID, cmd uint32, payload []byte, more ...[]byte) error {
	bufs := append([][]byte{abi.AppendDMOp(nil, cmd, payload)}, more...)
	h.counts.add(abi.OpDM, cmd)
	if err := h.sys.DMOp(id, bufs); err != nil {
		return &OpError{op, id, err}
	}
	return nil
}
