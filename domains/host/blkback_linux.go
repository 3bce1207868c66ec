package host

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// BlkbackFormats returns the formats of images that goxl's daemon for disks serves, nil
// when none runs. It runs as long as its file is locked, and the file says what it
// serves. It may be gone by the time you read it.
func (h *Host) BlkbackFormats() ([]string, error) {
	f, err := h.OpenFile(h.Blkback, os.O_RDONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for the daemon for disks: %w", err)
	}
	defer f.Close() // a lock that we got goes with it
	err = h.Flock(f, unix.LOCK_SH|unix.LOCK_NB)
	if err == nil {
		return nil, nil
	}
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("look for the daemon for disks: %s: %w", h.Blkback, err)
	}
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return nil, fmt.Errorf("look for the daemon for disks: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "formats" {
			return words[1:], nil
		}
	}
	return nil, nil // it is just starting
}
