//go:build !linux

package evtchn

import (
	"context"
	"errors"
)

// Conn is a set of ports that this process has bound; only Linux has them here.
type Conn struct{}

// Polled is a set of ports for a thread that polls; only Linux has them here.
type Polled struct{}

// OpenPolled is unsupported.
func OpenPolled() (*Polled, error) { return nil, opError("open", errors.ErrUnsupported) }

// FD returns none.
func (c *Polled) FD() int { return -1 }

// BindInterdomain is unsupported.
func (c *Polled) BindInterdomain(DomID, Port) (Port, error) { return 0, errors.ErrUnsupported }

// Take is unsupported.
func (c *Polled) Take() (Port, bool, error) { return 0, false, errors.ErrUnsupported }

// Unmask is unsupported.
func (c *Polled) Unmask(Port) error { return errors.ErrUnsupported }

// Notify is unsupported.
func (c *Polled) Notify(Port) error { return errors.ErrUnsupported }

// Close does nothing.
func (c *Polled) Close() error { return nil }

// Open is unsupported.
func Open() (*Conn, error) { return nil, opError("open", errors.ErrUnsupported) }

// BindInterdomain is unsupported.
func (c *Conn) BindInterdomain(DomID, Port) (Port, error) { return 0, errors.ErrUnsupported }

// BindUnbound is unsupported.
func (c *Conn) BindUnbound(DomID) (Port, error) { return 0, errors.ErrUnsupported }

// BindVIRQ is unsupported.
func (c *Conn) BindVIRQ(VIRQ) (Port, error) { return 0, errors.ErrUnsupported }

// Unbind is unsupported.
func (c *Conn) Unbind(Port) error { return errors.ErrUnsupported }

// Notify is unsupported.
func (c *Conn) Notify(Port) error { return errors.ErrUnsupported }

// Wait is unsupported.
func (c *Conn) Wait(context.Context) (Port, error) { return 0, errors.ErrUnsupported }

// Unmask is unsupported.
func (c *Conn) Unmask(Port) error { return errors.ErrUnsupported }

// Close does nothing.
func (c *Conn) Close() error { return nil }
