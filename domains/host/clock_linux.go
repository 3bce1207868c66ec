package host

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// monotonicSeconds reads the clock that all processes since boot share.
func monotonicSeconds() (uint64, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0, fmt.Errorf("read the monotonic clock: %w", err)
	}
	return uint64(ts.Sec), nil
}
