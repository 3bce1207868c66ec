package xenctrl

import (
	"encoding/binary"
	"errors"
	"fmt"

	"goxl/xenctrl/abi"
)

// flask asks whether FLASK is there, with the harmless GETENFORCE.
func (h *Handle) flask() error {
	const getEnforce, interfaceVersion = 2, 1 // FLASK_GETENFORCE, XEN_FLASK_INTERFACE_VERSION
	c, err := h.begin(0)
	if err != nil {
		return err
	}
	defer c.end()
	binary.LittleEndian.PutUint32(c.buf.b, getEnforce)
	binary.LittleEndian.PutUint32(c.buf.b[4:], interfaceVersion)
	_, err = h.hypercall(abi.OpXSM, getEnforce, [5]uint64{c.buf.addr})
	return err
}

// LabelSID returns the number of a security label ("system_u:system_r:domU_t"),
// for CreateDomain.SSIDRef. Without a FLASK policy it is errors.ErrUnsupported.
func (h *Handle) LabelSID(label string) (uint32, error) {
	const contextToSID, interfaceVersion = 4, 1
	op := fmt.Sprintf("look up security label %q", label)
	if err := h.needFLASK(op); err != nil {
		return 0, err
	}
	c, err := h.begin(len(label))
	if err != nil {
		return 0, hostError(op, err)
	}
	defer c.end()
	copy(c.data(), label)
	le := binary.LittleEndian
	le.PutUint32(c.buf.b, contextToSID)
	le.PutUint32(c.buf.b[4:], interfaceVersion)
	le.PutUint32(c.buf.b[12:], uint32(len(label))) // sid@0, size@4, context@8
	le.PutUint64(c.buf.b[16:], c.addr(0))
	if _, err := h.hypercall(abi.OpXSM, contextToSID, [5]uint64{c.buf.addr}); err != nil {
		return 0, hostError(op, err)
	}
	return le.Uint32(c.buf.b[8:]), nil
}

// SIDLabel returns the label of DomainInfo.SSIDRef. Without a FLASK policy it is
// errors.ErrUnsupported.
func (h *Handle) SIDLabel(sid uint32) (string, error) {
	const sidToContext, interfaceVersion, room = 5, 1, 1024
	const op = "get security label"
	if err := h.needFLASK(op); err != nil {
		return "", err
	}
	c, err := h.begin(room)
	if err != nil {
		return "", hostError(op, err)
	}
	defer c.end()
	le := binary.LittleEndian
	le.PutUint32(c.buf.b, sidToContext)
	le.PutUint32(c.buf.b[4:], interfaceVersion)
	le.PutUint32(c.buf.b[8:], sid)
	le.PutUint32(c.buf.b[12:], room)
	le.PutUint64(c.buf.b[16:], c.addr(0))
	if _, err := h.hypercall(abi.OpXSM, sidToContext, [5]uint64{c.buf.addr}); err != nil {
		return "", hostError(op, err)
	}
	n := min(le.Uint32(c.buf.b[12:]), room)
	for n > 0 && c.data()[n-1] == 0 {
		n--
	}
	return string(c.data()[:n]), nil
}

func (h *Handle) needFLASK(op string) error {
	ok, err := h.Probe(FLASK)
	if err == nil && !ok {
		err = hostError(op, fmt.Errorf("this Xen has no FLASK policy: %w", errors.ErrUnsupported))
	}
	return err
}
