package main

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestInterruptible has each signal end what can be taken back.
func TestInterruptible(t *testing.T) {
	for _, s := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP} {
		ctx, stop := interruptible(t.Context())
		unix.Kill(os.Getpid(), s)
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
			t.Errorf("%s does not end it", unix.SignalName(s))
		}
		stop()
	}
}
