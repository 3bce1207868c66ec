//go:build !linux

package blkback

import (
	"errors"
	"math"
	"time"
)

// sleeper exists on Linux only.
type sleeper struct{ looks int }

const forever = time.Duration(math.MaxInt64)

func (*sleeper) open(int, int, func() bool) error  { return errors.ErrUnsupported }
func (*sleeper) close() error                      { return nil }
func (*sleeper) wake()                             {}
func (*sleeper) ignorePort()                       {}
func (*sleeper) sleep(time.Duration) (bool, error) { return false, errors.ErrUnsupported }

func yield() {}
