//go:build !linux

package tap

import "errors"

// Device is an interface; only Linux has them here.
type Device struct{}

// Queue is one stream of frames of an interface.
type Queue struct{}

// Create is unsupported.
func Create(string, string) (*Device, error) { return nil, errors.ErrUnsupported }

// Find is unsupported.
func Find(string) (*Device, error) { return nil, errors.ErrUnsupported }

// List is unsupported.
func List(string) ([]*Device, error) { return nil, errors.ErrUnsupported }

// Tag returns nothing.
func (d *Device) Tag() string { return "" }

// Name is unsupported.
func (d *Device) Name() (string, error) { return "", errors.ErrUnsupported }

// SetMTU is unsupported.
func (d *Device) SetMTU(int) error { return errors.ErrUnsupported }

// Stats is unsupported.
func (d *Device) Stats() (Stats, error) { return Stats{}, errors.ErrUnsupported }

// Remove is unsupported.
func (d *Device) Remove() error { return errors.ErrUnsupported }

// Attach is unsupported.
func (d *Device) Attach(int, Offloads) ([]*Queue, error) { return nil, errors.ErrUnsupported }

// FD returns none.
func (q *Queue) FD() int { return -1 }

// TryRead is unsupported.
func (q *Queue) TryRead([]byte) (int, error) { return 0, errors.ErrUnsupported }

// Write is unsupported.
func (q *Queue) Write([]byte) error { return errors.ErrUnsupported }

// SetCarrier is unsupported.
func (q *Queue) SetCarrier(bool) error { return errors.ErrUnsupported }

// Close does nothing.
func (q *Queue) Close() error { return nil }
