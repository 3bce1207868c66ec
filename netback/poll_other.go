//go:build !linux

package netback

import (
	"errors"
	"time"
)

const (
	seesLine = iota
	_
	seesTap
	seesBell
)

type poller struct{ parked bool }

func (p *poller) open() error { return errors.ErrUnsupported }

func (p *poller) close() error { return nil }

func (p *poller) watch(int, int) {}

func (p *poller) wait(time.Duration) error { return errors.ErrUnsupported }

func (p *poller) ready(int) bool { return false }

type bell struct{}

func (b *bell) make() error { return errors.ErrUnsupported }

func (b *bell) FD() int { return -1 }

func (b *bell) ring() {}

func (b *bell) hush() {}

func (b *bell) close() error { return nil }
