//go:build !linux

package host

import (
	"context"
	"errors"
	"os/exec"
)

// Lock exists on Linux only.
type Lock struct{}

// FileID exists on Linux only.
type FileID struct{}

// Loop exists on Linux only.
type Loop struct {
	Path string
	Num  DevNumber
	File FileID
	Name string
}

// BigFile exists on Linux only.
type BigFile struct{}

func (*BigFile) Write([]byte) (int, error) { return 0, errOther }
func (*BigFile) Commit() error             { return errOther }
func (*BigFile) Abort() error              { return errOther }

// ErrNoBridge says that a bridge does not exist.
var ErrNoBridge = errors.New("no such bridge")

var errOther = errors.ErrUnsupported

func (*Lock) Unlock() error { return errOther }

func (*Host) Lock(context.Context, string) (*Lock, error)        { return nil, errOther }
func (*Host) HotplugLock(context.Context, string) (*Lock, error) { return nil, errOther }
func (*Host) LockXL(context.Context) (*Lock, error)              { return nil, errOther }

func IDOf(string) (FileID, error)           { return FileID{}, errOther }
func BlockNumber(string) (DevNumber, error) { return DevNumber{}, errOther }

func (*Host) CreateBig(string, uint64) (*BigFile, error) { return nil, errOther }

func (*Host) AttachLoop(string, bool) (string, error)     { return "", errOther }
func (*Host) DetachLoop(string) error                     { return errOther }
func (*Host) Loops() ([]Loop, error)                      { return nil, errOther }
func (*Host) ResolveBridge(string) (string, error)        { return "", errOther }
func (*Host) RenameLink(string, string) error             { return errOther }
func (*Host) JoinBridge(string, string, int) (int, error) { return 0, errOther }
func (*Host) LeaveBridge(string) error                    { return errOther }
func (*Host) AwaitLink(context.Context, string) error     { return errOther }
func (*Host) LinkExists(string) bool                      { return false }
func monotonicSeconds() (uint64, error)                   { return 0, errOther }
func killGroup(*exec.Cmd)                                 {}
