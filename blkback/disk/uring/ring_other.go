//go:build !linux

package uring

import (
	"errors"
	"fmt"
)

// Ring exists on Linux only.
type Ring struct{}

// Result is a request that has ended.
type Result struct {
	Tag uint64
	Res int32
}

// Open returns an error.
func Open(int) (*Ring, error) { return nil, fmt.Errorf("io_uring: %w", errors.ErrUnsupported) }

func (*Ring) Close() error                          { return nil }
func (*Ring) Read(int, []byte, int64, uint64) bool  { return false }
func (*Ring) Write(int, []byte, int64, uint64) bool { return false }
func (*Ring) Nop(uint64) bool                       { return false }
func (*Ring) Submit() ([]uint64, error)             { return nil, errors.ErrUnsupported }
func (*Ring) Descriptor() int                       { return -1 }
func (*Ring) HasEnded() bool                        { return false }
func (*Ring) Next() (Result, bool)                  { return Result{}, false }
