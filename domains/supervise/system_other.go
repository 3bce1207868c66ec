//go:build !linux

package supervise

import (
	"context"
	"errors"
	"os"
	"os/exec"
)

func tryLock(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func detach(*exec.Cmd) {}

func watchDir(context.Context, string, func()) error { return errors.ErrUnsupported }
