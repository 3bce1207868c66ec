package hosttest

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"goxl/domains/host"
)

// loop is a loop device in use.
type loop struct {
	file host.FileID
	name string
	keep bool
	open int // by us
}

// loopMajor is LOOP_MAJOR of Linux.
const loopMajor = 7

// Loops returns the files that loop devices show, by device.
func (k *Kernel) Loops() map[string]string {
	k.mu.Lock()
	defer k.mu.Unlock()
	files := map[string]string{}
	for path, l := range k.loops {
		files[path] = l.name
	}
	return files
}

func (k *Kernel) FreeLoop() (int, error) {
	if err := k.before("ioctl", "LOOP_CTL_GET_FREE"); err != nil {
		return 0, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for n := 0; ; n++ {
		if k.loops["/dev/loop"+strconv.Itoa(n)] == nil {
			return n, nil
		}
	}
}

func (k *Kernel) LoopsInUse() ([]string, error) {
	if err := k.before("glob", "/sys/block/loop*"); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Sorted(maps.Keys(k.loops)), nil
}

// BlockNumber knows loop devices only.
func (k *Kernel) BlockNumber(path string) (host.DevNumber, error) {
	if err := k.before("stat", path); err != nil {
		return host.DevNumber{}, err
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(filepath.Base(path), "loop"), 10, 20)
	if err != nil {
		return host.DevNumber{}, &fs.PathError{Op: "stat", Path: path, Err: syscall.ENOENT}
	}
	return host.DevNumber{Major: loopMajor, Minor: uint32(n)}, nil
}

func (k *Kernel) OpenLoop(path string, _ bool) (host.LoopDevice, error) {
	if err := k.before("open", path); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if l := k.loops[path]; l != nil {
		l.open++
	}
	return &openLoop{k, path}, nil
}

// openLoop is a loop device that we have open.
type openLoop struct {
	k    *Kernel
	path string
}

// change carries out one request about a device, which with may need to be in use.
func (o *openLoop) change(call string, used bool, f func(l *loop) error) error {
	if err := o.k.before("ioctl", call); err != nil {
		return err
	}
	o.k.mu.Lock()
	defer o.k.mu.Unlock()
	l := o.k.loops[o.path]
	switch {
	case used && l == nil:
		return syscall.ENXIO
	case !used && l != nil:
		return syscall.EBUSY
	}
	return f(l)
}

func (o *openLoop) Bind(file *os.File, _ bool) error {
	fi, err := file.Stat()
	if err != nil {
		return err
	}
	st := fi.Sys().(*syscall.Stat_t)
	return o.change("LOOP_CONFIGURE", false, func(*loop) error {
		o.k.loops[o.path] = &loop{file: host.FileID{Dev: st.Dev, Inode: st.Ino}, name: file.Name(), open: 1}
		return nil
	})
}

func (o *openLoop) Keep() error {
	return o.change("LOOP_SET_STATUS64", true, func(l *loop) error { l.keep = true; return nil })
}

func (o *openLoop) Free() error {
	return o.change("LOOP_CLR_FD", true, func(*loop) error { delete(o.k.loops, o.path); return nil })
}

func (o *openLoop) Status() (host.Loop, error) {
	var out host.Loop
	err := o.change("LOOP_GET_STATUS64", true, func(l *loop) error {
		out = host.Loop{Path: o.path, File: l.file, Name: l.name}
		return nil
	})
	return out, err
}

// Close is what the end of a process does too, so it cannot be refused.
func (o *openLoop) Close() error {
	o.k.mu.Lock()
	defer o.k.mu.Unlock()
	if l := o.k.loops[o.path]; l != nil {
		if l.open--; l.open == 0 && !l.keep {
			delete(o.k.loops, o.path)
		}
	}
	return nil
}
