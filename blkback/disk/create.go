package disk

import (
	"errors"
	"fmt"
	"os"

	"goxl/blkback/disk/qcow2"
)

// Create makes a file of an empty disk of size bytes at path, where nothing may be, for
// root alone: raw, all of it a hole, or qcow2. After an error nothing is there.
func Create(path string, f Format, size int64) (err error) {
	if f != Raw && f != QCOW2 {
		return fmt.Errorf("create disk %s: the format %s cannot be made here: %w", path, f, errors.ErrUnsupported)
	}
	if size <= 0 || size%512 != 0 {
		return fmt.Errorf("create disk %s: %d bytes are no size of a disk", path, size)
	}
	made, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("create disk: %w", err)
	}
	if err := made.Close(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	h, err := openFile(path, Options{Format: f})
	if err != nil {
		return err
	}
	if f == Raw {
		err = h.Grow(size)
	} else {
		err = qcow2.Create(h, size)
	}
	return errors.Join(err, h.Close())
}
