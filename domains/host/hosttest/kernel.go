package hosttest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"goxl/domains/host"
)

// Kernel stands in for the kernel of a host. Its methods are safe for concurrent
// use; Before is set while nobody uses it.
type Kernel struct {
	real host.Kernel // for files and processes

	// Before is called before each request with its name and first argument. Its
	// error is the request's, which then does nothing; a write of a file then
	// leaves an empty one, as on a full disk. Nil: every request is carried out.
	Before func(call string) error

	mu    sync.Mutex
	loops map[string]*loop
	links map[string]*host.Link
	next  int // index of the last interface
	news  []chan struct{}
}

// New returns a kernel without loop devices in use and with a bridge xenbr0, which
// asks real for everything else.
func New(real host.Kernel) *Kernel {
	k := &Kernel{real: real, loops: map[string]*loop{}, links: map[string]*host.Link{}}
	k.AddLink("xenbr0")
	return k
}

func (k *Kernel) before(call, arg string) error {
	if k.Before == nil {
		return nil
	}
	if err := k.Before(call + " " + arg); err != nil {
		return &fs.PathError{Op: call, Path: arg, Err: err}
	}
	return nil
}

func (k *Kernel) OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	if err := k.before("open", name); err != nil {
		return nil, err
	}
	return k.real.OpenFile(name, flag, perm)
}

func (k *Kernel) ReadFile(name string) ([]byte, error) {
	if err := k.before("read", name); err != nil {
		return nil, err
	}
	return k.real.ReadFile(name)
}

// WriteFile is two requests: to open the file, and to write into it.
func (k *Kernel) WriteFile(name string, data []byte, perm fs.FileMode) error {
	if err := k.before("create", name); err != nil {
		return err
	}
	if err := k.before("write", name); err != nil {
		return errors.Join(err, k.real.WriteFile(name, nil, perm))
	}
	return k.real.WriteFile(name, data, perm)
}

func (k *Kernel) Append(f *os.File, data []byte) error {
	if err := k.before("append", f.Name()); err != nil {
		return err
	}
	return k.real.Append(f, data)
}

func (k *Kernel) Stat(name string) (fs.FileInfo, error) {
	if err := k.before("stat", name); err != nil {
		return nil, err
	}
	return k.real.Stat(name)
}

func (k *Kernel) Lstat(name string) (fs.FileInfo, error) {
	if err := k.before("lstat", name); err != nil {
		return nil, err
	}
	return k.real.Lstat(name)
}

func (k *Kernel) EvalSymlinks(name string) (string, error) {
	if err := k.before("readlink", name); err != nil {
		return "", err
	}
	return k.real.EvalSymlinks(name)
}

func (k *Kernel) ReadDir(name string) ([]string, error) {
	if err := k.before("readdir", name); err != nil {
		return nil, err
	}
	return k.real.ReadDir(name)
}

func (k *Kernel) Glob(pattern string) ([]string, error) {
	if err := k.before("glob", pattern); err != nil {
		return nil, err
	}
	return k.real.Glob(pattern)
}

func (k *Kernel) Mkdir(name string, perm fs.FileMode) error {
	if err := k.before("mkdir", name); err != nil {
		return err
	}
	return k.real.Mkdir(name, perm)
}

func (k *Kernel) MkdirAll(name string, perm fs.FileMode) error {
	if err := k.before("mkdir", name); err != nil {
		return err
	}
	return k.real.MkdirAll(name, perm)
}

func (k *Kernel) Rename(from, to string) error {
	if err := k.before("rename", from); err != nil {
		return err
	}
	return k.real.Rename(from, to)
}

func (k *Kernel) Remove(name string) error {
	if err := k.before("unlink", name); err != nil {
		return err
	}
	return k.real.Remove(name)
}

func (k *Kernel) RemoveAll(name string) error {
	if err := k.before("rmdir", name); err != nil {
		return err
	}
	return k.real.RemoveAll(name)
}

func (k *Kernel) Flock(f *os.File, how int) error {
	if err := k.before("flock", f.Name()); err != nil {
		return err
	}
	return k.real.Flock(f, how)
}

func (k *Kernel) LockFile(f *os.File) error {
	if err := k.before("fcntl", f.Name()); err != nil {
		return err
	}
	return k.real.LockFile(f)
}

func (k *Kernel) StartProcess(cmd *exec.Cmd) error {
	if err := k.before("exec", cmd.Path); err != nil {
		return err
	}
	return k.real.StartProcess(cmd)
}

func (k *Kernel) Kill(pid int, sig syscall.Signal) error {
	if err := k.before("kill", fmt.Sprint(pid)); err != nil {
		return err
	}
	return k.real.Kill(pid, sig)
}
