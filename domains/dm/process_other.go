//go:build !linux

package dm

import (
	"errors"
	"os"
)

type process struct{ pid int }

func startProcess(string, []string, []string, *os.File) (*process, error) {
	return nil, errors.ErrUnsupported
}

func (*process) onExit(func(error)) func() { return func() {} }

func hangUp(int) error  { return errors.ErrUnsupported }
func killNow(int) error { return errors.ErrUnsupported }
