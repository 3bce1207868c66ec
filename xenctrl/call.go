package xenctrl

import (
	"encoding/binary"

	"goxl/xenctrl/abi"
)

// dataOffset is where a call's data starts: behind the largest argument.
const dataOffset = 256

// call is the memory of one hypercall: the argument at the start of a buffer
// and, from dataOffset on, arrays that the argument points to.
type call struct {
	h    *Handle
	buf  Buffer
	size int // of the data
}

// begin takes memory for a hypercall with size bytes of data, all zero. The
// caller ends the call when it has read the answer.
func (h *Handle) begin(size int) (call, error) {
	buf, err := h.pool.get(dataOffset + size)
	if err != nil {
		return call{}, err
	}
	clear(buf.b[:dataOffset+size])
	return call{h, buf, size}, nil
}

// end gives the memory back. Slices of it are dead afterwards.
func (c *call) end() { c.h.pool.put(c.buf) }

// data is the array part.
func (c *call) data() []byte { return c.buf.b[dataOffset : dataOffset+c.size] }

// addr is where byte off of the data lies for Xen.
func (c *call) addr(off int) uint64 { return c.buf.addr + dataOffset + uint64(off) }

// domArg is where a domctl's payload is to be appended, in place.
func (c *call) domArg() []byte { return c.buf.b[abi.DomctlArg:abi.DomctlArg:abi.DomctlSize] }

// sysArg is the same of a sysctl.
func (c *call) sysArg() []byte { return c.buf.b[abi.SysctlArg:abi.SysctlArg:abi.SysctlSize] }

// arg is the same of a hypercall whose argument has no header.
func (c *call) arg() []byte { return c.buf.b[0:0:dataOffset] }

// domctl makes a domctl whose payload is already in place, and returns the
// result and the payload of the answer, which is valid until end.
func (c *call) domctl(op string, cmd uint32, id DomID) (int64, []byte, error) {
	return c.domctlVersion(op, cmd, c.h.version.Domctl, id)
}

func (c *call) domctlVersion(op string, cmd, version uint32, id DomID) (int64, []byte, error) {
	le := binary.LittleEndian
	b := c.buf.b
	le.PutUint32(b[0:], cmd)
	le.PutUint32(b[4:], version)
	le.PutUint16(b[8:], uint16(id))
	ret, err := c.h.hypercall(abi.OpDomctl, cmd, [5]uint64{c.buf.addr})
	if err != nil {
		return 0, nil, &OpError{op, id, err}
	}
	return ret, b[abi.DomctlArg:abi.DomctlSize], nil
}

// domid is the domain field of a domctl's answer.
func (c *call) domid() DomID { return DomID(binary.LittleEndian.Uint16(c.buf.b[8:])) }

// sysctl makes a sysctl whose payload is already in place.
func (c *call) sysctl(op string, cmd uint32) ([]byte, error) {
	le := binary.LittleEndian
	b := c.buf.b
	le.PutUint32(b[0:], cmd)
	le.PutUint32(b[4:], c.h.version.Sysctl)
	if _, err := c.h.hypercall(abi.OpSysctl, cmd, [5]uint64{c.buf.addr}); err != nil {
		return nil, hostError(op, err)
	}
	return b[abi.SysctlArg:abi.SysctlSize], nil
}

// command makes a hypercall of the form (cmd, argument).
func (c *call) command(op string, nr uint64, cmd uint32, id DomID) (int64, []byte, error) {
	ret, err := c.h.hypercall(nr, cmd, [5]uint64{uint64(cmd), c.buf.addr})
	if err != nil {
		return 0, nil, &OpError{op, id, err}
	}
	return ret, c.buf.b[:dataOffset], nil
}

// hypercall is the one place where hypercalls are made and counted.
func (h *Handle) hypercall(op uint64, cmd uint32, args [5]uint64) (int64, error) {
	h.counts.add(op, cmd)
	return h.sys.Hypercall(op, args)
}

// domctl makes a domctl without data and without an answer.
func (h *Handle) domctl(op string, cmd uint32, id DomID, arg []byte) error {
	c, err := h.begin(0)
	if err != nil {
		return &OpError{op, id, err}
	}
	defer c.end()
	copy(c.domArg()[:len(arg)], arg)
	_, _, err = c.domctl(op, cmd, id)
	return err
}
