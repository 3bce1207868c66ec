package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// logGenerations is how many old logs of one name stay.
const logGenerations = 10

// OpenLog moves the existing logs of this name one number up (name.log to
// name.log.1 … name.log.10) and opens a new name.log for appending. The caller
// closes it. Name must not contain a slash.
// Source: libxl_create_logfile in tools/libs/light/libxl_utils.c.
func (h *Host) OpenLog(name string) (*os.File, error) {
	if filepath.Base(name) != name {
		return nil, fmt.Errorf("log %q: the name holds a path", name)
	}
	first := filepath.Join(h.Log, name+".log")
	if _, err := h.Stat(first); err == nil {
		if err := h.rotate(first); err != nil {
			return nil, fmt.Errorf("log %s: %w", name, err)
		}
	}
	return h.OpenFile(first, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
}

func (h *Host) rotate(first string) error {
	for i := logGenerations - 1; i >= 0; i-- {
		from := first
		if i > 0 {
			from = fmt.Sprintf("%s.%d", first, i)
		}
		err := h.Rename(from, fmt.Sprintf("%s.%d", first, i+1))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
