package host

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// kernel is the kernel that we run on.
type kernel struct{}

func newKernel() Kernel { return kernel{} }

func (kernel) OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	return os.OpenFile(name, flag, perm)
}

func (kernel) ReadFile(name string) ([]byte, error) { return os.ReadFile(name) }

func (kernel) WriteFile(name string, data []byte, perm fs.FileMode) error {
	return os.WriteFile(name, data, perm)
}

func (kernel) Append(f *os.File, data []byte) error {
	_, err := f.Write(data)
	return err
}

func (kernel) Stat(name string) (fs.FileInfo, error)        { return os.Stat(name) }
func (kernel) Lstat(name string) (fs.FileInfo, error)       { return os.Lstat(name) }
func (kernel) EvalSymlinks(name string) (string, error)     { return filepath.EvalSymlinks(name) }
func (kernel) Glob(pattern string) ([]string, error)        { return filepath.Glob(pattern) }
func (kernel) Mkdir(name string, perm fs.FileMode) error    { return os.Mkdir(name, perm) }
func (kernel) MkdirAll(name string, perm fs.FileMode) error { return os.MkdirAll(name, perm) }
func (kernel) Rename(from, to string) error                 { return os.Rename(from, to) }
func (kernel) Remove(name string) error                     { return os.Remove(name) }
func (kernel) RemoveAll(name string) error                  { return os.RemoveAll(name) }

func (kernel) ReadDir(name string) ([]string, error) {
	entries, err := os.ReadDir(name)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

func (kernel) Flock(f *os.File, how int) error {
	return uninterrupted(func() error { return unix.Flock(int(f.Fd()), how) })
}

func (kernel) LockFile(f *os.File) error {
	return uninterrupted(func() error {
		return unix.FcntlFlock(f.Fd(), unix.F_SETLKW, &unix.Flock_t{Type: unix.F_WRLCK})
	})
}

func fileID(fi fs.FileInfo) FileID {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return FileID{}
	}
	return FileID{st.Dev, st.Ino}
}

func uninterrupted(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

func (kernel) StartProcess(cmd *exec.Cmd) error       { return cmd.Start() }
func (kernel) Kill(pid int, sig syscall.Signal) error { return unix.Kill(pid, sig) }
func (kernel) BlockNumber(path string) (DevNumber, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return DevNumber{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return DevNumber{unix.Major(st.Rdev), unix.Minor(st.Rdev)}, blockOnly(path, st.Mode)
}
