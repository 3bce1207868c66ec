//go:build !linux

package domains

import (
	"errors"
	"os"
)

func rawPTY() (master, slave *os.File, err error) { return nil, nil, errors.ErrUnsupported }
