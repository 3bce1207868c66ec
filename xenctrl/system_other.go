//go:build !linux

package xenctrl

import (
	"errors"
	"fmt"
	"runtime"
)

// OpenSystem opens the hypervisor; only Linux has a driver for it here.
func OpenSystem() (System, error) {
	return nil, fmt.Errorf("%w: no Xen driver for %s: %w", ErrNotXen, runtime.GOOS, errors.ErrUnsupported)
}
