//go:build !linux

package console

import (
	"errors"
	"os"
)

type terminal struct{ *os.File }

func openTerminal() (*terminal, error) { return nil, errors.ErrUnsupported }

func (t *terminal) Path() string { return t.Name() }

func (t *terminal) Unread() (int, error) { return 0, errors.ErrUnsupported }
