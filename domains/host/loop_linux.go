package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// FileID tells one file from another on this host, whatever its name.
type FileID struct{ Dev, Inode uint64 }

// IDOf returns the identity of the file at path, following links.
func IDOf(path string) (FileID, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return FileID{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return FileID{st.Dev, st.Ino}, nil
}

// BlockNumber returns the number of the block device at path, following links.
func BlockNumber(path string) (DevNumber, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return DevNumber{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return DevNumber{}, fmt.Errorf("%s is not a block device", path)
	}
	return DevNumber{unix.Major(st.Rdev), unix.Minor(st.Rdev)}, nil
}

// Loop is a loop device in use.
type Loop struct {
	Path string // /dev/loopN
	Num  DevNumber
	File FileID // what it shows
	Name string // path of that file as it was at the time, cut to 63 bytes
}

// attachTries bounds how often another process may take the free loop device
// that the kernel named to us.
const attachTries = 64

// AttachLoop makes the file at path available as a block device and returns its
// name. As with the block script the device stays until DetachLoop: it is not
// cleared by itself when its last user closes it, since between us and the
// backend driver nobody has it open.
func (h *Host) AttachLoop(path string, readOnly bool) (string, error) {
	mode := os.O_RDWR
	if readOnly {
		mode = os.O_RDONLY
	}
	file, err := os.OpenFile(path, mode, 0)
	if err != nil {
		return "", fmt.Errorf("loop device: %w", err)
	}
	defer file.Close()
	ctl, err := os.OpenFile(filepath.Join(h.Dev, "loop-control"), os.O_RDWR, 0)
	if err != nil {
		return "", fmt.Errorf("loop device: %w (is the loop driver there? try: modprobe loop)", err)
	}
	defer ctl.Close()
	for range attachTries {
		n, err := unix.IoctlRetInt(int(ctl.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return "", fmt.Errorf("loop device: find a free one: %w", err)
		}
		dev := filepath.Join(h.Dev, "loop"+strconv.Itoa(n))
		err = configureLoop(dev, file, mode)
		if err == nil {
			return dev, nil
		}
		if !errors.Is(err, unix.EBUSY) { // EBUSY: somebody else was faster
			return "", fmt.Errorf("loop device %s for %s: %w", dev, path, err)
		}
	}
	return "", fmt.Errorf("loop device for %s: %d times another process took the free one first: %w", path, attachTries, unix.EBUSY)
}

// configureLoop binds file to dev, in one step where the kernel can (5.8).
func configureLoop(dev string, file *os.File, mode int) error {
	f, err := os.OpenFile(dev, mode, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	cfg := unix.LoopConfig{Fd: uint32(file.Fd())}
	if mode == os.O_RDONLY {
		cfg.Info.Flags = unix.LO_FLAGS_READ_ONLY
	}
	name := file.Name()
	if abs, err := filepath.Abs(name); err == nil {
		name = abs
	}
	copy(cfg.Info.File_name[:len(cfg.Info.File_name)-1], name)
	err = unix.IoctlLoopConfigure(int(f.Fd()), &cfg)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTTY) {
		return err
	}
	if err := unix.IoctlSetInt(int(f.Fd()), unix.LOOP_SET_FD, int(file.Fd())); err != nil {
		return err
	}
	if err := unix.IoctlLoopSetStatus64(int(f.Fd()), &cfg.Info); err != nil {
		return errors.Join(err, unix.IoctlSetInt(int(f.Fd()), unix.LOOP_CLR_FD, 0))
	}
	return nil
}

// DetachLoop frees loop device dev. When it is still in use the kernel frees it
// after its last user. A device that is free already is no error.
func (h *Host) DetachLoop(dev string) error {
	f, err := os.OpenFile(dev, os.O_RDONLY, 0)
	if err != nil {
		return fmt.Errorf("free loop device: %w", err)
	}
	defer f.Close()
	err = unix.IoctlSetInt(int(f.Fd()), unix.LOOP_CLR_FD, 0)
	if err != nil && !errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("free loop device %s: %w", dev, err)
	}
	return nil
}

// Loops returns the loop devices in use. One that goes away meanwhile is left out.
func (h *Host) Loops() ([]Loop, error) {
	names, err := filepath.Glob(filepath.Join(h.Sys, "block/loop*/loop/backing_file"))
	if err != nil {
		return nil, err
	}
	var loops []Loop
	for _, name := range names {
		dev := filepath.Join(h.Dev, strings.Split(strings.TrimPrefix(name, h.Sys+"/block/"), "/")[0])
		l, err := loopStatus(dev)
		switch {
		case err == nil:
			loops = append(loops, l)
		case errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENOENT):
		default:
			return nil, fmt.Errorf("loop device %s: %w", dev, err)
		}
	}
	return loops, nil
}

func loopStatus(dev string) (Loop, error) {
	f, err := os.OpenFile(dev, os.O_RDONLY, 0)
	if err != nil {
		return Loop{}, err
	}
	defer f.Close()
	st, err := unix.IoctlLoopGetStatus64(int(f.Fd()))
	if err != nil {
		return Loop{}, err
	}
	num, err := BlockNumber(dev)
	if err != nil {
		return Loop{}, err
	}
	name := st.File_name[:]
	if i := slices.Index(name, 0); i >= 0 {
		name = name[:i]
	}
	return Loop{Path: dev, Num: num, File: FileID{st.Device, st.Inode}, Name: string(name)}, nil
}
