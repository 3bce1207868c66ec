package xenctrl

import (
	"errors"
	"fmt"
	"syscall"

	"goxl/xenctrl/abi"
)

// Feature is something that not every Xen has. Upper layers ask for it by name
// and never compare releases.
type Feature int

// The features that callers choose by.
const (
	// RelaxedMSR: the creation flag exists; before (4.14) every domain is so.
	RelaxedMSR Feature = iota
	// NestedVirtAtCreate: a creation flag, not HVM parameter 24. Since 4.15.
	NestedVirtAtCreate
	// VMTrace: trace buffers. Since 4.15.
	VMTrace
	// GrantVersionLimit: CreateDomain.GrantVersion is honoured. Since 4.16.
	GrantVersionLimit
	// VPMU: the creation flag. Since 4.16.
	VPMU
	// CPUPoolAtCreate: the domain starts in its pool. CreateDomain moves it
	// there itself before 4.17.
	CPUPoolAtCreate
	// PagingMempool: pool sizes in bytes, not MiB. Since 4.17.
	PagingMempool
	// FreeGrantLimits: grant limits may exceed the host's default. Since 4.18.
	FreeGrantLimits
	// Altp2mAtCreate: a creation option, not HVM parameter 35. Since 4.19.
	Altp2mAtCreate
	// OptionalPIRQ: HVM guests need not have PIRQs. Since 4.19.
	OptionalPIRQ
	// GSIPermission: needed by a PVH control domain for passthrough. Since 4.20.
	GSIPermission
	// Altp2mCount: the number of views is a creation option. Since 4.21.
	Altp2mCount
	// DomainStateOp: DomainState, with ids that are never reused. Since 4.21.
	DomainStateOp
	// SameVendorOnly: Xen refuses a guest CPU vendor other than the host's. Since 4.22.
	SameVendorOnly

	// Hypfs: Xen's own file system was built in. Found by asking.
	Hypfs
	// FLASK: an XSM policy with labels is active. Found by asking.
	FLASK
	// AutoTranslated: we ourselves are a PVH domain. Found by asking.
	AutoTranslated
)

// since is the release that brought a feature that needs no asking.
var since = map[Feature]int{
	RelaxedMSR: 15, NestedVirtAtCreate: 15, VMTrace: 15, GrantVersionLimit: 16, VPMU: 16,
	CPUPoolAtCreate: 17, PagingMempool: 17, FreeGrantLimits: 18, Altp2mAtCreate: 19,
	OptionalPIRQ: 19, GSIPermission: 20, Altp2mCount: 21, DomainStateOp: 21, SameVendorOnly: 22,
}

// Has reports whether the running Xen has f. It is false when that could not
// be found out; Probe tells the two apart.
func (h *Handle) Has(f Feature) bool {
	ok, _ := h.Probe(f)
	return ok
}

// Probe reports whether the running Xen has f. An error means that it could
// not be told this time; only a yes or no is remembered.
func (h *Handle) Probe(f Feature) (bool, error) {
	if minor, ok := since[f]; ok {
		return h.version.AtLeast(4, minor), nil
	}
	h.mu.Lock()
	ans, ok := h.answers[f]
	h.mu.Unlock()
	if ok {
		return ans, nil
	}
	ans, err := h.ask(f)
	if err != nil {
		return false, err
	}
	h.mu.Lock()
	h.answers[f] = ans
	h.mu.Unlock()
	return ans, nil
}

func (h *Handle) ask(f Feature) (bool, error) {
	switch f {
	case Hypfs:
		_, err := h.hypercall(abi.OpHypfs, abi.HypfsGetVersion, [5]uint64{abi.HypfsGetVersion})
		return yesNo("ask for hypfs", err)
	case FLASK:
		err := h.flask()
		return yesNo("ask for FLASK", err)
	case AutoTranslated:
		bits, err := h.Features(0)
		return bits&(1<<abi.FeatAutoTranslated) != 0, err
	}
	return false, fmt.Errorf("feature %d: %w", f, errors.ErrUnsupported)
}

// yesNo turns the errnos that mean "not built in" into a no.
func yesNo(op string, err error) (bool, error) {
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.EOPNOTSUPP):
		return false, nil
	}
	return false, hostError(op, err)
}
