package host

import (
	"io/fs"
	"net"
	"os"
	"os/exec"
	"syscall"
)

// Kernel is what a Host asks of the operating system: one method for each
// request, so that a test can stand in for loop devices and interfaces, and
// refuse every request in turn. Methods are safe for concurrent use. Errors hold
// the errno, and name the file as those of package os do.
type Kernel interface {
	Files
	Loops
	Links
	Processes
}

// Files are the requests about files that concern more than this process. What is
// open is an ordinary *os.File.
type Files interface {
	OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error)
	ReadFile(name string) ([]byte, error)
	WriteFile(name string, data []byte, perm fs.FileMode) error
	Append(f *os.File, data []byte) error // one write for all of data
	Stat(name string) (fs.FileInfo, error)
	Lstat(name string) (fs.FileInfo, error)
	EvalSymlinks(name string) (string, error)
	ReadDir(name string) ([]string, error) // names, sorted
	Glob(pattern string) ([]string, error)
	Mkdir(name string, perm fs.FileMode) error
	MkdirAll(name string, perm fs.FileMode) error
	Rename(from, to string) error
	Remove(name string) error
	RemoveAll(name string) error
	Flock(f *os.File, how int) error // LOCK_EX and the like; waits unless LOCK_NB
	LockFile(f *os.File) error       // fcntl's lock on all of f, for writing; waits
}

// Loops are the requests about loop devices.
type Loops interface {
	FreeLoop() (number int, err error)
	LoopsInUse() (paths []string, err error)
	OpenLoop(path string, readOnly bool) (LoopDevice, error)
	BlockNumber(path string) (DevNumber, error) // of any block device, following links
}

// LoopDevice is an open loop device.
type LoopDevice interface {
	// Bind has the device show file. Unless Keep is called, it is freed when the
	// last user closes it, which the end of this process does for us.
	Bind(file *os.File, readOnly bool) error
	Keep() error
	Free() error
	Status() (Loop, error)
	Close() error
}

// Links are the requests about network interfaces.
type Links interface {
	FindLink(name string) (Link, error) // fs.ErrNotExist when there is none
	SetLinkUp(l Link, up bool) error
	SetLinkName(l Link, name string) error
	SetLinkMaster(l Link, bridge int) error // 0: none
	SetLinkMTU(l Link, mtu int) error
	SetLinkAddr(l Link, mac net.HardwareAddr) error
	FlushLink(l Link) error // its IP addresses
	// WatchLinks sends whenever interfaces change, until stop is closed. Then the
	// channel is closed; also when the kernel's news end.
	WatchLinks(stop <-chan struct{}) (<-chan struct{}, error)
}

// Link is a network interface as it was when it was looked for.
type Link struct {
	Name   string
	Index  int
	Bridge int // index of the bridge that it is a port of; 0: none
	MTU    int
}

// Processes are the requests about processes.
type Processes interface {
	StartProcess(cmd *exec.Cmd) error
	Kill(pid int, sig syscall.Signal) error // negative: a process group
}
