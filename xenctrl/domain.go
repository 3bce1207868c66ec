package xenctrl

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"goxl/xenctrl/abi"
)

// CreateDomain makes a domain, paused and without vcpus or memory, and returns
// its id. A GrantVersion of 0 becomes the newest that the host allows. Before
// Xen 4.17 a CPUPool other than 0 is reached by moving the new domain. A field
// that the running Xen lacks is errors.ErrUnsupported.
func (h *Handle) CreateDomain(d *CreateDomain) (DomID, error) {
	return h.CreateDomainAs(abi.DomAny, d)
}

// CreateDomainAs is CreateDomain for a given id, or abi.DomAny. An id in use is
// ErrExists.
func (h *Handle) CreateDomainAs(id DomID, d *CreateDomain) (DomID, error) {
	const op = "create domain"
	want := *d
	if want.GrantVersion == 0 {
		var err error
		if want.GrantVersion, err = h.grantVersion(); err != nil {
			return 0, err
		}
	}
	c, err := h.begin(0)
	if err != nil {
		return 0, hostError(op, err)
	}
	defer c.end()
	if _, err := abi.AppendCreateDomain(c.domArg(), h.version, &want); err != nil {
		return 0, hostError(op, err)
	}
	if _, _, err := c.domctl(op, abi.DomctlCreateDomain, id); err != nil {
		if id == abi.DomAny {
			err = hostError(op, unwrapOp(err))
		}
		return 0, err
	}
	got := c.domid()
	if d.CPUPool != 0 && !h.Has(CPUPoolAtCreate) {
		if err := h.MoveDomainToCPUPool(got, d.CPUPool); err != nil {
			return 0, errors.Join(err, h.DestroyDomain(context.Background(), got))
		}
	}
	return got, nil
}

// grantVersion is the newest grant table version the host allows.
func (h *Handle) grantVersion() (uint8, error) {
	if !h.Has(GrantVersionLimit) {
		return 2, nil
	}
	p, err := h.PhysInfo()
	if err != nil {
		return 0, err
	}
	if p.Capabilities&abi.CapGrantV2 != 0 {
		return 2, nil
	}
	return 1, nil
}

// DestroyDomain ends domain id and frees what it owns. Freeing a large domain
// takes a while: Xen asks to be called again, which stops when ctx ends. The
// domain stays visible as dying until nobody maps its memory any more.
func (h *Handle) DestroyDomain(ctx context.Context, id DomID) error {
	for {
		err := h.domctl("destroy domain", abi.DomctlDestroyDomain, id, nil)
		if !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR) {
			return err
		}
		select {
		case <-ctx.Done():
			return &OpError{"destroy domain", id, fmt.Errorf("%w while Xen still frees its memory", context.Cause(ctx))}
		case <-time.After(time.Millisecond):
		}
	}
}

// Pause stops the vcpus of domain id. Pauses are counted.
func (h *Handle) Pause(id DomID) error {
	return h.domctl("pause", abi.DomctlPauseDomain, id, nil)
}

// Unpause takes back one Pause, or starts a new domain, whose CPU policy is
// fixed from then on.
func (h *Handle) Unpause(id DomID) error {
	return h.domctl("unpause", abi.DomctlUnpauseDomain, id, nil)
}

// Resume clears the shutdown state of a suspended domain and lets it run on.
func (h *Handle) Resume(id DomID) error {
	return h.domctl("resume", abi.DomctlResumeDomain, id, nil)
}

// SoftReset recycles a domain that shut down for a soft reset.
func (h *Handle) SoftReset(id DomID) error {
	return h.domctl("soft reset", abi.DomctlSoftReset, id, nil)
}

// DomainInfo returns what Xen tells about domain id, and ErrNoDomain when there
// is none. Xen up to 4.17 answers about the next domain instead; that answer is
// recognised and refused here.
func (h *Handle) DomainInfo(id DomID) (DomainInfo, error) {
	const op = "get domain info"
	c, err := h.begin(0)
	if err != nil {
		return DomainInfo{}, &OpError{op, id, err}
	}
	defer c.end()
	_, b, err := c.domctl(op, abi.DomctlGetDomainInfo, id)
	if err != nil {
		return DomainInfo{}, err
	}
	d := abi.ParseDomainInfo(b, h.version)
	if d.ID != id {
		return DomainInfo{}, &OpError{op, id, syscall.ESRCH}
	}
	return d, nil
}

// domainBatch is how many domains one hypercall asks for.
const domainBatch = 1024

// Domains returns all domains, in the order of their ids, domain 0 first.
// Domains that come or go meanwhile may be in it or not.
func (h *Handle) Domains() ([]DomainInfo, error) {
	var all []DomainInfo
	for first := DomID(0); ; {
		got, err := h.DomainsFrom(first, domainBatch)
		if err != nil {
			return nil, err
		}
		all = append(all, got...)
		if len(got) < domainBatch {
			return all, nil
		}
		first = got[len(got)-1].ID + 1
	}
}

// DomainsFrom returns at most n domains with the id first or a higher one.
func (h *Handle) DomainsFrom(first DomID, n int) ([]DomainInfo, error) {
	const op = "list domains"
	stride := abi.DomainInfoSize(h.version)
	c, err := h.begin(n * stride)
	if err != nil {
		return nil, hostError(op, err)
	}
	defer c.end()
	abi.AppendDomainInfoList(c.sysArg(), first, uint32(n), c.addr(0))
	b, err := c.sysctl(op, abi.SysctlGetDomainInfos)
	if err != nil {
		return nil, err
	}
	count := min(int(abi.ParseDomainInfoList(b)), n)
	out := make([]DomainInfo, count)
	for i := range out {
		out[i] = abi.ParseDomainInfo(c.data()[i*stride:], h.version)
	}
	return out, nil
}

// DomainState returns the state and the never reused id of a domain; with
// abi.DomInvalid, the next domain whose state changed, for the holder of
// VIRQ_DOM_EXC. Needs Xen 4.21.
func (h *Handle) DomainState(id DomID) (abi.DomainState, error) {
	const op = "get domain state"
	if !h.Has(DomainStateOp) {
		return abi.DomainState{}, &OpError{op, id, &abi.UnsupportedError{What: "get_domain_state", Since: "Xen 4.21", Have: h.version}}
	}
	c, err := h.begin(0)
	if err != nil {
		return abi.DomainState{}, &OpError{op, id, err}
	}
	defer c.end()
	_, b, err := c.domctlVersion(op, abi.DomctlGetDomainState, abi.DomctlStableInterface, id)
	if err != nil {
		return abi.DomainState{}, err
	}
	s := abi.ParseDomainState(b)
	s.ID = c.domid()
	return s, nil
}

// RemoteShutdown stops domain id as if it had asked for it itself.
func (h *Handle) RemoteShutdown(id DomID, reason ShutdownReason) error {
	const op = "shut down"
	c, err := h.begin(0)
	if err != nil {
		return &OpError{op, id, err}
	}
	defer c.end()
	abi.AppendRemoteShutdown(c.arg(), id, reason)
	_, _, err = c.command(op, abi.OpSched, abi.SchedRemoteShutdown, id)
	return err
}
