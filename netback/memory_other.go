//go:build !linux

package netback

import "errors"

func newArena(int) ([]byte, error) { return nil, errors.ErrUnsupported }

func freeArena([]byte) error { return nil }

func openJournal(string, int, bool) ([]byte, error) { return nil, errors.ErrUnsupported }
