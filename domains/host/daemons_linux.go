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
// when none runs. It may be gone by the time you read it.
func (h *Host) BlkbackFormats() ([]string, error) {
	formats, err := h.announced(h.Blkback, "formats")
	if err != nil {
		return nil, fmt.Errorf("look for the daemon for disks: %w", err)
	}
	return formats, nil
}

// ChannelConnections returns how goxl's console daemon connects channels, nil when none
// runs. It may be gone by the time you read it.
func (h *Host) ChannelConnections() ([]string, error) {
	ways, err := h.announced(h.Consoled, "channels")
	if err != nil {
		return nil, fmt.Errorf("look for the console daemon: %w", err)
	}
	return ways, nil
}

// announced returns what the daemon that holds the lock file at path says there in a line
// that begins with word. A daemon runs as long as its file is locked.
func (h *Host) announced(path, word string) ([]string, error) {
	f, err := h.OpenFile(path, os.O_RDONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // a lock that we got goes with it
	err = h.Flock(f, unix.LOCK_SH|unix.LOCK_NB)
	if err == nil {
		return nil, nil
	}
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == word {
			return words[1:], nil
		}
	}
	return nil, nil // it is just starting
}
