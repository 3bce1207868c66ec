package offer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Journal notes which guests that came were given permission to start, a file each in
// a directory that outlives a reboot: long after a guest has ended, the host that it
// came from may have to know whether it ever ran here.
type Journal string

// Comes forgets what was noted of a guest: it comes anew, and has not started.
func (d Journal) Comes(uuid string) error {
	if err := os.Remove(d.file(uuid)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget that the guest was here before: %w", err)
	}
	return nil
}

// Starts notes that a guest may run here from now on. It must be noted before it does.
func (d Journal) Starts(uuid string) error {
	if err := os.MkdirAll(string(d), 0o755); err != nil {
		return err
	}
	return replaceFile(d.file(uuid), []byte(time.Now().UTC().Format(time.RFC3339)))
}

// Started is when a guest was given permission; zero when it was not, since it came
// the last time, or nobody knows.
func (d Journal) Started(uuid string) time.Time {
	b, err := os.ReadFile(d.file(uuid))
	if err != nil {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, string(b))
	if err != nil {
		return time.Unix(0, 0) // something was noted
	}
	return t
}

func (d Journal) file(uuid string) string { return filepath.Join(string(d), nameOf(uuid)) }
