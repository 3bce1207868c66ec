package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"goxl/domains/host"
)

// ErrRunning is what Run returns when another supervisor runs already.
var ErrRunning = errors.New("another supervisor is running")

// Register hands a guest over to the supervisor of this host. Start is called
// when there is none and must start one that calls Run with the same directory;
// it need not wait for it. With start nil the caller calls Wake afterwards, when there
// is time for it.
func Register(ctx context.Context, dir string, rec *Record, start func() error) error {
	h := host.New(host.Paths{})
	lock, err := lockDoor(ctx, h, dir)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	if err := recordsIn(h, dir).save(rec); err != nil || start == nil {
		return err
	}
	alive, err := tryLock(filepath.Join(dir, "supervisor.lock"))
	if errors.Is(err, ErrRunning) {
		return nil // it watches the directory
	}
	if err != nil {
		return err
	}
	alive.Close()
	if err := start(); err != nil {
		return errors.Join(fmt.Errorf("start the supervisor of %s: %w", rec.Name, err), recordsIn(h, dir).remove(rec.UUID))
	}
	return nil
}

// lockDoor excludes that a guest is registered in the moment in which the
// supervisor finds that it can end.
func lockDoor(ctx context.Context, h *host.Host, dir string) (*host.Lock, error) {
	if err := h.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return h.Lock(ctx, filepath.Join(dir, "door.lock"))
}

// Spawn starts a supervisor process that outlives us, with its output in log.
func Spawn(exe string, args []string, log *os.File) error {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	cmd := exec.Command(exe, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = null, log, log
	cmd.Dir = "/"
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}
