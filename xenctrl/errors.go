package xenctrl

import (
	"errors"
	"fmt"
	"syscall"

	"goxl/xenctrl/abi"
)

// The refusals that callers act on. They are reached with errors.Is; so is the
// errno itself.
var (
	ErrNoDomain   = errors.New("no such domain")
	ErrBusy       = errors.New("busy")
	ErrNoMemory   = errors.New("not enough free memory in Xen")
	ErrPermission = errors.New("not permitted")
	ErrExists     = errors.New("exists already")
	ErrNotXen     = errors.New("this is not a Xen control domain")
)

// OpError is an operation that Xen or the kernel refused.
type OpError struct {
	Op  string // as a user would say it: "set max mem"
	Dom DomID  // abi.DomInvalid when the operation is about the host
	Err error  // an errno when Xen answered
}

// hostError is an OpError about the host.
func hostError(op string, err error) error { return &OpError{op, abi.DomInvalid, err} }

func (e *OpError) Error() string {
	if e.Dom == abi.DomInvalid {
		return fmt.Sprintf("%s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("%s: domain %d: %v", e.Op, e.Dom, e.Err)
}

// Unwrap gives the cause.
func (e *OpError) Unwrap() error { return e.Err }

// Is names the few errnos that callers act on.
func (e *OpError) Is(target error) bool {
	switch target {
	case ErrNoDomain:
		return errors.Is(e.Err, syscall.ESRCH)
	case ErrBusy:
		return errors.Is(e.Err, syscall.EBUSY)
	case ErrNoMemory:
		return errors.Is(e.Err, syscall.ENOMEM)
	case ErrPermission:
		return errors.Is(e.Err, syscall.EPERM) || errors.Is(e.Err, syscall.EACCES)
	case ErrExists:
		return errors.Is(e.Err, syscall.EEXIST)
	}
	return false
}

// FrameError says which frames of a domain could not be mapped.
type FrameError struct {
	First  GFN   // the first of them
	Failed int   // how many
	Of     int   // how many were asked for
	Err    error // why the first failed
}

func (e *FrameError) Error() string {
	if e.Of == 1 {
		return fmt.Sprintf("frame %#x: %v", uint64(e.First), e.Err)
	}
	return fmt.Sprintf("%d of %d frames, first %#x: %v", e.Failed, e.Of, uint64(e.First), e.Err)
}

// Unwrap gives the cause.
func (e *FrameError) Unwrap() error { return e.Err }

// PolicyError is a CPU policy that Xen refused, with the culprit as far as Xen
// named it.
type PolicyError struct {
	Leaf, Subleaf uint32 // abi.NoSubleaf: not a leaf
	MSR           uint32 // abi.NoSubleaf: not an MSR
	Err           error
}

func (e *PolicyError) Error() string {
	const none = abi.NoSubleaf
	switch {
	case e.Leaf != none && e.Subleaf != none:
		return fmt.Sprintf("CPUID leaf %#x subleaf %#x: %v", e.Leaf, e.Subleaf, e.Err)
	case e.Leaf != none:
		return fmt.Sprintf("CPUID leaf %#x: %v", e.Leaf, e.Err)
	case e.MSR != none:
		return fmt.Sprintf("MSR %#x: %v", e.MSR, e.Err)
	}
	return e.Err.Error()
}

// Unwrap gives the cause.
func (e *PolicyError) Unwrap() error { return e.Err }
