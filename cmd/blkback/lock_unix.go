//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"goxl/blkback/disk"
	"goxl/domains/logs"
)

// takeLock waits until no other blkback runs, and keeps others out as long as the file
// is open. The kernel drops the lock of a killed process when the last of its threads
// has left the kernel, which is when the last of its reads and writes has ended. So who
// has the lock may do again what that process had begun: nothing of it comes late.
func takeLock(ctx context.Context, path string, log *logs.Logger) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	for told := false; ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case !errors.Is(err, syscall.EWOULDBLOCK):
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		case !told:
			told = true
			log.Info("waiting for another blkback, or for the last I/O of one that was killed", logs.String("lock", path))
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("lock %s: another blkback has it: %w", path, context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// announce writes which formats are served to the locked file, where the toolstack
// looks for them.
func announce(lock *os.File, formats []disk.Format) error {
	var words []string
	for _, f := range formats {
		words = append(words, string(f))
	}
	text := "formats " + strings.Join(words, " ") + "\n"
	if err := lock.Truncate(0); err != nil {
		return err
	}
	_, err := lock.WriteAt([]byte(text), 0)
	return err
}
