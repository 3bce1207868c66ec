package xenctrl

import "goxl/xenctrl/abi"

// EvtchnAllocUnbound makes a port of domain dom that remote may bind to. The
// toolstack does so for the console and xenstore of a new domain.
func (h *Handle) EvtchnAllocUnbound(dom, remote DomID) (Port, error) {
	const op = "allocate event channel"
	c, err := h.begin(0)
	if err != nil {
		return 0, &OpError{op, dom, err}
	}
	defer c.end()
	abi.AppendEvtchnAllocUnbound(c.arg(), dom, remote)
	_, b, err := c.command(op, abi.OpEventChannel, abi.EvtchnAllocUnbound, dom)
	if err != nil {
		return 0, err
	}
	return abi.ParseEvtchnAllocUnbound(b), nil
}

// EvtchnClose closes a port of our own domain. Ports of this process are better
// closed through evtchn, whose kernel driver knows them.
func (h *Handle) EvtchnClose(p Port) error {
	const op = "close event channel"
	c, err := h.begin(0)
	if err != nil {
		return hostError(op, err)
	}
	defer c.end()
	abi.AppendEvtchnPort(c.arg(), p)
	_, _, err = c.command(op, abi.OpEventChannel, abi.EvtchnClose, abi.DomInvalid)
	return err
}

// EvtchnStatus returns what port p of domain dom is bound to.
func (h *Handle) EvtchnStatus(dom DomID, p Port) (abi.EvtchnStatus, error) {
	const op = "get event channel status"
	c, err := h.begin(0)
	if err != nil {
		return abi.EvtchnStatus{}, &OpError{op, dom, err}
	}
	defer c.end()
	abi.AppendEvtchnStatus(c.arg(), dom, p)
	_, b, err := c.command(op, abi.OpEventChannel, abi.EvtchnStatusOp, dom)
	if err != nil {
		return abi.EvtchnStatus{}, err
	}
	return abi.ParseEvtchnStatus(b), nil
}

// EvtchnReset closes all ports of domain dom.
func (h *Handle) EvtchnReset(dom DomID) error {
	const op = "reset event channels"
	c, err := h.begin(0)
	if err != nil {
		return &OpError{op, dom, err}
	}
	defer c.end()
	abi.AppendEvtchnReset(c.arg(), dom)
	_, _, err = c.command(op, abi.OpEventChannel, abi.EvtchnReset, dom)
	return err
}

// GrantSetupTable grows the grant table of PV domain dom to n frames and returns
// their machine frames. It is the fallback where MapResource of the grant table
// is unsupported.
func (h *Handle) GrantSetupTable(dom DomID, n int) ([]GFN, error) {
	const op = "set up grant table"
	c, err := h.begin(8 * n)
	if err != nil {
		return nil, &OpError{op, dom, err}
	}
	defer c.end()
	abi.AppendGrantSetupTable(c.arg(), dom, uint32(n), c.addr(0))
	if err := h.grantOp(&c, op, abi.GnttabSetupTable, dom); err != nil {
		return nil, err
	}
	if s := abi.ParseGrantSetupTable(c.buf.b); s != abi.GrantOK {
		return nil, &OpError{op, dom, abi.GrantStatus(s)}
	}
	out := make([]GFN, n)
	get64s(out, c.data())
	return out, nil
}

// GrantTableSize returns how many frames the grant table of dom has and may have.
func (h *Handle) GrantTableSize(dom DomID) (frames, limit int, err error) {
	const op = "get grant table size"
	c, err := h.begin(0)
	if err != nil {
		return 0, 0, &OpError{op, dom, err}
	}
	defer c.end()
	abi.AppendGrantQuerySize(c.arg(), dom)
	if err := h.grantOp(&c, op, abi.GnttabQuerySize, dom); err != nil {
		return 0, 0, err
	}
	n, most, s := abi.ParseGrantQuerySize(c.buf.b)
	if s != abi.GrantOK {
		return 0, 0, &OpError{op, dom, abi.GrantStatus(s)}
	}
	return int(n), int(most), nil
}

func (h *Handle) grantOp(c *call, op string, cmd uint32, dom DomID) error {
	if _, err := h.hypercall(abi.OpGrantTable, cmd, [5]uint64{uint64(cmd), c.buf.addr, 1}); err != nil {
		return &OpError{op, dom, err}
	}
	return nil
}

// MapPIRQ makes host GSI index an interrupt of domain id. pirq is the number to
// use, or -1 for any; the one used is returned.
func (h *Handle) MapPIRQ(id DomID, index, pirq int) (int, error) {
	const op = "map interrupt"
	c, err := h.begin(0)
	if err != nil {
		return 0, &OpError{op, id, err}
	}
	defer c.end()
	abi.AppendMapPIRQ(c.arg(), id, abi.MapPIRQGSI, int32(index), int32(pirq))
	_, b, err := c.command(op, abi.OpPhysdev, abi.PhysdevMapPIRQ, id)
	if err != nil {
		return 0, err
	}
	return int(abi.ParseMapPIRQ(b)), nil
}

// UnmapPIRQ takes back a MapPIRQ.
func (h *Handle) UnmapPIRQ(id DomID, pirq int) error {
	const op = "unmap interrupt"
	c, err := h.begin(0)
	if err != nil {
		return &OpError{op, id, err}
	}
	defer c.end()
	abi.AppendUnmapPIRQ(c.arg(), id, int32(pirq))
	_, _, err = c.command(op, abi.OpPhysdev, abi.PhysdevUnmapPIRQ, id)
	return err
}
