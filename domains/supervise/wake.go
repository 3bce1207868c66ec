package supervise

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"goxl/domains/host"
)

// Wake calls start when guests are on record and nobody looks after them, which is
// so after the supervisor was killed: each command of the toolstack calls it, so
// that the next one makes up for the loss. It costs the reading of one directory
// while there is nothing to do. As with Register, start need not wait.
func Wake(ctx context.Context, dir string, start func() error) error {
	orphaned, err := Orphans(dir)
	if err != nil || orphaned == 0 {
		return err
	}
	door, err := lockDoor(ctx, host.New(host.Paths{}), dir)
	if err != nil {
		return err
	}
	defer door.Unlock()
	if orphaned, err = Orphans(dir); err != nil || orphaned == 0 {
		return err // another command was faster
	}
	if err := start(); err != nil {
		return fmt.Errorf("nobody follows the end of %d guests: start their supervisor: %w", orphaned, err)
	}
	return nil
}

// Orphans counts the guests on record in dir if no supervisor runs; else it is 0.
func Orphans(dir string) (int, error) {
	files, err := filepath.Glob(filepath.Join(recordsIn(nil, dir).dir, "*.json"))
	if err != nil || len(files) == 0 {
		return 0, err
	}
	alive, err := tryLock(filepath.Join(dir, "supervisor.lock"))
	if errors.Is(err, ErrRunning) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return len(files), alive.Close()
}
