package xenstore

import (
	"errors"
	"fmt"
	"syscall"

	"goxl/xenstore/wire"
)

// The refusals that callers act on, for errors.Is.
var (
	ErrNotFound   = errors.New("no such node")          // ENOENT
	ErrConflict   = errors.New("transaction conflict")  // EAGAIN
	ErrExists     = errors.New("already exists")        // EEXIST
	ErrPermission = errors.New("permission denied")     // EACCES, EPERM
	ErrQuota      = errors.New("quota exceeded")        // ENOSPC, E2BIG of a watch; EQUOTA of oxenstored
	ErrClosed     = errors.New("client is closed")      // after Close
	ErrLost       = errors.New("connection lost")       // whether the request was carried out is unknown
	ErrTxDone     = errors.New("transaction has ended") // use of a Tx after Commit or Abort
	ErrOverflow   = errors.New("watch queue is full")   // its reader fell behind
	ErrProtocol   = errors.New("protocol violation")    // by the store; ends the connection
)

// Error is a request that failed. Err is a wire.Error, which unwraps to the
// errno, when the store refused it.
type Error struct {
	Op   wire.Op
	Path string // or the domain id, or the control command
	Err  error
}

func (e *Error) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("xenstore %s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("xenstore %s %s: %v", e.Op, e.Path, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Is names the errnos that callers act on.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return errors.Is(e.Err, syscall.ENOENT)
	case ErrConflict:
		return errors.Is(e.Err, syscall.EAGAIN)
	case ErrExists:
		return errors.Is(e.Err, syscall.EEXIST)
	case ErrPermission:
		return errors.Is(e.Err, syscall.EACCES) || errors.Is(e.Err, syscall.EPERM)
	case ErrQuota:
		var we wire.Error
		return errors.As(e.Err, &we) && (we.Quota() || e.Op == wire.OpWatch && we == "E2BIG")
	case errors.ErrUnsupported:
		return errors.Is(e.Err, syscall.ENOSYS)
	}
	return false
}
