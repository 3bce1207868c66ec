//go:build !linux

package background

import (
	"errors"
	"fmt"
	"os"
)

// Is reports whether this is the process in the background.
func Is() bool { return false }

// Start is for Linux.
func Start(*os.File) error { return fmt.Errorf("start in the background: %w", errors.ErrUnsupported) }

// Report tells nobody.
func Report(error) {}
