//go:build !linux

package capture

import (
	"context"
	"errors"
)

// Live listens to an interface; only Linux lets it here.
type Live struct{}

// Open is unsupported.
func Open(string, int) (*Live, error) { return nil, errors.ErrUnsupported }

// Next is unsupported.
func (l *Live) Next(context.Context) (Packet, error) { return Packet{}, errors.ErrUnsupported }

// Dropped is unsupported.
func (l *Live) Dropped() (passed, missed uint64, err error) { return 0, 0, errors.ErrUnsupported }

// Close does nothing.
func (l *Live) Close() error { return nil }
