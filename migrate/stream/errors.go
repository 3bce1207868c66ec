package stream

import (
	"errors"
	"fmt"
	"io"
)

// ErrStream is the class of what a stream got wrong: errors.Is finds it in every
// error about bytes that no sound stream has. A stream that ends too early is not
// of this class but matches io.ErrUnexpectedEOF, and one of a known format that
// is not supported matches errors.ErrUnsupported.
var ErrStream = errors.New("bad stream")

// Error says where in a stream something went wrong. The cause stays reachable
// through errors.Is: ErrStream, io.ErrUnexpectedEOF, errors.ErrUnsupported, or
// what the io.Reader or io.Writer returned.
type Error struct {
	Index  int   // of the record, from 0 over all layers; -1 in a header
	Type   Type  // of the header or record; 0 while it is not known
	Offset int64 // of its first byte
	Err    error
}

func (e *Error) Error() string {
	switch {
	case e.Index < 0:
		return fmt.Sprintf("%s at offset %#x: %v", e.Type, e.Offset, e.Err)
	case e.Type == 0:
		return fmt.Sprintf("record %d at offset %#x: %v", e.Index, e.Offset, e.Err)
	}
	return fmt.Sprintf("record %d (%s) at offset %#x: %v", e.Index, e.Type, e.Offset, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Code returns a stable code for the kind of failure.
func (e *Error) Code() string {
	switch {
	case errors.Is(e.Err, ErrStream):
		return "stream.bad"
	case errors.Is(e.Err, io.ErrUnexpectedEOF):
		return "stream.truncated"
	case errors.Is(e.Err, errors.ErrUnsupported):
		return "stream.unsupported"
	}
	return "stream.io"
}

// badError is a mistake in the stream.
type badError string

func (e badError) Error() string        { return string(e) }
func (e badError) Is(target error) bool { return target == ErrStream }

func bad(format string, args ...any) error { return badError(fmt.Sprintf(format, args...)) }

// unsupportedError is a stream of a kind that is known and not supported.
type unsupportedError string

func (e unsupportedError) Error() string        { return string(e) }
func (e unsupportedError) Is(target error) bool { return target == errors.ErrUnsupported }

func unsupported(format string, args ...any) error {
	return unsupportedError(fmt.Sprintf(format, args...))
}

// shortError is a stream that ends inside of something.
type shortError struct{ got, want int64 }

func (e shortError) Error() string {
	return fmt.Sprintf("the stream ends after %d of %d bytes", e.got, e.want)
}

func (e shortError) Unwrap() error { return io.ErrUnexpectedEOF }
