//go:build !linux

package dm

import (
	"errors"
	"os"

	"goxl/domains/host"
)

type process struct{ pid int }

func startProcess(*host.Host, string, []string, []string, *os.File) (*process, error) {
	return nil, errors.ErrUnsupported
}

func (*process) onExit(func(error)) func() { return func() {} }

func (*Models) hangUp(int) error  { return errors.ErrUnsupported }
func (*Models) killNow(int) error { return errors.ErrUnsupported }
