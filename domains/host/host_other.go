//go:build !linux

package host

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
)

// Lock exists on Linux only.
type Lock struct{}

// BigFile exists on Linux only.
type BigFile struct{}

func (*BigFile) Write([]byte) (int, error) { return 0, errOther }
func (*BigFile) Commit() error             { return errOther }
func (*BigFile) Abort() error              { return errOther }

// ErrHeld says that a lock is held by somebody else.
var ErrHeld = errors.New("held by another process")

var errOther = errors.ErrUnsupported

func (*Lock) Unlock() error            { return errOther }
func (*Lock) Leave() error             { return errOther }
func (*Lock) Append([]byte) error      { return errOther }
func (*Lock) Read([]byte) (int, error) { return 0, errOther }

func (*Host) Lock(context.Context, string) (*Lock, error)        { return nil, errOther }
func (*Host) TryLock(string) (*Lock, error)                      { return nil, errOther }
func (*Host) HotplugLock(context.Context, string) (*Lock, error) { return nil, errOther }
func (*Host) LockXL(context.Context) (*Lock, error)              { return nil, errOther }

func (*Host) CreateBig(string, uint64) (*BigFile, error) { return nil, errOther }

func (*Host) openPastCache(string) (*os.File, error) { return nil, errOther }
func (*Host) deviceID(fs.FileInfo) string            { return "" }
func (*Host) BootID() string                         { return "" }

func aligned(int) ([]byte, func(), error) { return nil, func() {}, errOther }
func localFileSystem(*os.File) string     { return "" }

func monotonicSeconds() (uint64, error) { return 0, errOther }
func killGroup(*exec.Cmd)               {}
func fileID(fs.FileInfo) FileID         { return FileID{} }

func newKernel() Kernel { return nil } // Xen's control interface does not open here

// BlkbackFormats returns nothing: there is no daemon for disks here.
// Turn is for Linux only.
func (h *Host) Turn(context.Context) (done func()) { return func() {} }

func (h *Host) BlkbackFormats() ([]string, error) { return nil, nil }

// ChannelConnections returns nothing: there is no console daemon here.
func (h *Host) ChannelConnections() ([]string, error) { return nil, nil }
