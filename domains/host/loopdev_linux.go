package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

func blockOnly(path string, mode uint32) error {
	if mode&unix.S_IFMT != unix.S_IFBLK {
		return fmt.Errorf("%s is not a block device", path)
	}
	return nil
}

func (kernel) FreeLoop() (int, error) {
	ctl, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return 0, fmt.Errorf("%w (is the loop driver there? try: modprobe loop)", err)
	}
	defer ctl.Close()
	n, err := unix.IoctlRetInt(int(ctl.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return 0, fmt.Errorf("find a free one: %w", err)
	}
	return n, nil
}

func (kernel) LoopsInUse() ([]string, error) {
	names, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for i, name := range names {
		names[i] = "/dev/" + strings.Split(name, "/")[3]
	}
	return names, err
}

func (kernel) OpenLoop(path string, readOnly bool) (LoopDevice, error) {
	mode := os.O_RDWR
	if readOnly {
		mode = os.O_RDONLY
	}
	f, err := os.OpenFile(path, mode, 0)
	if err != nil {
		return nil, err
	}
	return loopDevice{f}, nil
}

// loopDevice is a loop device of the kernel.
type loopDevice struct{ *os.File }

// Bind takes one step where the kernel can (5.8).
func (d loopDevice) Bind(file *os.File, readOnly bool) error {
	cfg := unix.LoopConfig{Fd: uint32(file.Fd())}
	cfg.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
	if readOnly {
		cfg.Info.Flags |= unix.LO_FLAGS_READ_ONLY
	}
	name := file.Name()
	if abs, err := filepath.Abs(name); err == nil {
		name = abs
	}
	copy(cfg.Info.File_name[:len(cfg.Info.File_name)-1], name)
	err := unix.IoctlLoopConfigure(int(d.Fd()), &cfg)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTTY) {
		return err
	}
	if err := unix.IoctlSetInt(int(d.Fd()), unix.LOOP_SET_FD, int(file.Fd())); err != nil {
		return err
	}
	if err := unix.IoctlLoopSetStatus64(int(d.Fd()), &cfg.Info); err != nil {
		return errors.Join(err, d.Free())
	}
	return nil
}

// Keep takes back that the device is freed with its last user: the one flag,
// beside the partition scan, that can be changed later.
func (d loopDevice) Keep() error {
	info, err := unix.IoctlLoopGetStatus64(int(d.Fd()))
	if err != nil {
		return err
	}
	info.Flags &^= unix.LO_FLAGS_AUTOCLEAR
	return unix.IoctlLoopSetStatus64(int(d.Fd()), info)
}

func (d loopDevice) Free() error { return unix.IoctlSetInt(int(d.Fd()), unix.LOOP_CLR_FD, 0) }

func (d loopDevice) Status() (Loop, error) {
	info, err := unix.IoctlLoopGetStatus64(int(d.Fd()))
	if err != nil {
		return Loop{}, err
	}
	name := info.File_name[:]
	if i := slices.Index(name, 0); i >= 0 {
		name = name[:i]
	}
	return Loop{Path: d.Name(), File: FileID{info.Device, info.Inode}, Name: string(name)}, nil
}
