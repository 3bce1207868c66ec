package build

import (
	"errors"
	"fmt"
)

// ErrTooSmall is matched when the guest's memory does not hold what must be in
// it at start.
var ErrTooSmall = errors.New("guest memory too small")

// KindError is a kind of guest that the running Xen does not run. It matches
// errors.ErrUnsupported.
type KindError struct {
	Kind string // in the words of Xen's capabilities
	Has  string // Xen's capabilities
}

func (e *KindError) Error() string {
	hint := ""
	switch e.Kind {
	case "xen-3.0-x86_32p":
		hint = "; 32-bit PV needs Xen built with CONFIG_PV32 and booted without pv=no-32, or pvshim=1"
	case "hvm-3.0-x86_32":
		hint = "; it needs a processor with VT-x or SVM, switched on in the firmware"
	}
	return fmt.Sprintf("guests of type %s: this Xen runs only %q%s", e.Kind, e.Has, hint)
}

// Is makes the error match errors.ErrUnsupported.
func (e *KindError) Is(target error) bool { return target == errors.ErrUnsupported }
