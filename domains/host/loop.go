package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// FileID tells one file from another on this host, whatever its name.
type FileID struct{ Dev, Inode uint64 }

// IDOf returns the identity of the file at path, following links.
func (h *Host) IDOf(path string) (FileID, error) {
	fi, err := h.Stat(path)
	if err != nil {
		return FileID{}, err
	}
	return fileID(fi), nil
}

// Loop is a loop device in use.
type Loop struct {
	Path string // /dev/loopN
	Num  DevNumber
	File FileID // what it shows
	Name string // path of that file as it was at the time, cut to 63 bytes
}

// shows reports whether l shows the file at path: this very file, or one that had
// its name. What cannot be looked at any more gets the benefit of the doubt.
func (l Loop) shows(h *Host, path string) bool {
	id, err := h.IDOf(path)
	return err != nil || id == l.File || l.Name == path[:min(len(path), maxLoopName)]
}

// maxLoopName is how much the kernel keeps of a file's name (LO_NAME_SIZE).
const maxLoopName = 63

// attachTries bounds how often another process may take the free loop device
// that the kernel named to us.
const attachTries = 64

// AttachedLoop is a loop device that we made. Until Keep, it ends with Close or
// with this process.
type AttachedLoop struct {
	Path string
	dev  LoopDevice
}

// AttachLoop makes the file at path available as a block device. The caller makes
// it known to whoever shall free it, calls Keep and then Close. From then on the
// device stays until DetachLoop, as with the block script.
func (h *Host) AttachLoop(path string, readOnly bool) (*AttachedLoop, error) {
	mode := os.O_RDWR
	if readOnly {
		mode = os.O_RDONLY
	}
	file, err := h.OpenFile(path, mode, 0)
	if err != nil {
		return nil, fmt.Errorf("loop device: %w", err)
	}
	defer file.Close()
	for range attachTries {
		n, err := h.FreeLoop()
		if err != nil {
			return nil, fmt.Errorf("loop device for %s: %w", path, err)
		}
		name := filepath.Join(h.Dev, "loop"+strconv.Itoa(n))
		dev, err := h.OpenLoop(name, readOnly)
		if err == nil {
			if err = dev.Bind(file, readOnly); err == nil {
				return &AttachedLoop{name, dev}, nil
			}
			dev.Close()
		}
		if !errors.Is(err, syscall.EBUSY) { // EBUSY: somebody else was faster
			return nil, fmt.Errorf("loop device %s for %s: %w", name, path, err)
		}
	}
	return nil, fmt.Errorf("loop device for %s: %d times another process took the free one first: %w", path, attachTries, syscall.EBUSY)
}

// Keep has the device outlive Close.
func (l *AttachedLoop) Keep() error {
	if err := l.dev.Keep(); err != nil {
		return fmt.Errorf("keep loop device %s: %w", l.Path, err)
	}
	return nil
}

// Close ends our use of the device.
func (l *AttachedLoop) Close() error { return l.dev.Close() }

// DetachLoop frees loop device dev if it shows the file at path. When it is still
// in use the kernel frees it after its last user. A device that is free already,
// or shows another file by now, is no error.
func (h *Host) DetachLoop(dev, path string) error {
	d, err := h.OpenLoop(dev, true)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("free loop device: %w", err)
	}
	defer d.Close()
	l, err := d.Status()
	if err == nil && l.shows(h, path) {
		err = d.Free()
	}
	if err != nil && !errors.Is(err, syscall.ENXIO) {
		return fmt.Errorf("free loop device %s: %w", dev, err)
	}
	return nil
}

// Loops returns the loop devices in use. One that goes away meanwhile is left out.
func (h *Host) Loops() ([]Loop, error) {
	paths, err := h.LoopsInUse()
	if err != nil {
		return nil, fmt.Errorf("list loop devices: %w", err)
	}
	var loops []Loop
	for _, path := range paths {
		l, err := h.loopStatus(path)
		switch {
		case err == nil:
			loops = append(loops, l)
		case errors.Is(err, syscall.ENXIO), errors.Is(err, fs.ErrNotExist):
		default:
			return nil, fmt.Errorf("loop device %s: %w", path, err)
		}
	}
	return loops, nil
}

func (h *Host) loopStatus(path string) (Loop, error) {
	d, err := h.OpenLoop(path, true)
	if err != nil {
		return Loop{}, err
	}
	defer d.Close()
	l, err := d.Status()
	if err == nil {
		l.Num, err = h.BlockNumber(path)
	}
	return l, err
}
