package xenctrl

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"goxl/xenctrl/abi"
)

// probe finds the release and the numbers of its interface. The number for the
// release comes from the table; one harmless call each confirms it, and only
// when Xen refuses it are the other known numbers tried, newest first.
func (h *Handle) probe() (abi.Version, error) {
	n, err := h.hypercall(abi.OpXenVersion, abi.VerVersion, [5]uint64{abi.VerVersion})
	if err != nil {
		return abi.Version{}, hostError("ask Xen for its version", err)
	}
	v, known := abi.Release(int(n>>16), int(n&0xffff))
	if !known && !v.AtLeast(4, 14) {
		return v, fmt.Errorf("Xen %v is older than 4.14, the oldest supported: %w", v, errors.ErrUnsupported)
	}
	v.Domctl, err = h.confirm("domctl", v, v.Domctl, func(v abi.Version) uint32 { return v.Domctl }, h.tryDomctl)
	if err != nil {
		return v, err
	}
	v.Sysctl, err = h.confirm("sysctl", v, v.Sysctl, func(v abi.Version) uint32 { return v.Sysctl }, h.trySysctl)
	return v, err
}

// confirm tries the number from the table and then the others. Xen answers a
// wrong number with EACCES, but so does a FLASK policy that forbids the call.
func (h *Handle) confirm(what string, v abi.Version, want uint32, of func(abi.Version) uint32, try func(uint32) error) (uint32, error) {
	tried := []uint32{want}
	for _, r := range abi.Releases() {
		if n := of(r); n != tried[len(tried)-1] && n != want {
			tried = append(tried, n)
		}
	}
	for i, j := 1, len(tried)-1; i < j; i, j = i+1, j-1 {
		tried[i], tried[j] = tried[j], tried[i]
	}
	var texts []string
	for _, n := range tried {
		err := try(n)
		if err == nil {
			return n, nil
		}
		if !errors.Is(err, syscall.EACCES) {
			return 0, hostError("confirm the "+what+" interface of Xen "+v.String(), err)
		}
		texts = append(texts, fmt.Sprintf("%#x", n))
	}
	return 0, hostError("confirm the "+what+" interface of Xen "+v.String(),
		fmt.Errorf("all numbers refused (%s): a FLASK policy forbids the call, or this Xen has another interface: %w",
			strings.Join(texts, ", "), syscall.EACCES))
}

// tryDomctl asks for domain 0 under interface number n. A privileged caller
// gets an answer about a domain; what it says is not looked at.
func (h *Handle) tryDomctl(n uint32) error {
	c, err := h.begin(0)
	if err != nil {
		return err
	}
	defer c.end()
	_, _, err = c.domctlVersion("probe", abi.DomctlGetDomainInfo, n, 0)
	return unwrapOp(err)
}

func (h *Handle) trySysctl(n uint32) error {
	c, err := h.begin(0)
	if err != nil {
		return err
	}
	defer c.end()
	h.version.Sysctl = n
	_, err = c.sysctl("probe", abi.SysctlSchedID)
	return unwrapOp(err)
}

// unwrapOp takes an OpError off, for callers that word their own.
func unwrapOp(err error) error {
	var op *OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
