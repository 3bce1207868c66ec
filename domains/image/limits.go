package image

import (
	"errors"
	"fmt"
)

// ErrFormat is matched by every error that the kernel's bytes are to blame for.
var ErrFormat = errors.New("not a usable kernel image")

// ErrTooBig is matched, beside ErrFormat, when a limit was reached.
var ErrTooBig = errors.New("kernel image too big")

// Limits bound what a kernel may cost, in bytes. A zero field has its default.
type Limits struct {
	File     int64 // the file as it lies on disk; 1 GiB
	Unpacked int64 // what comes out of it; 512 MiB
}

// The default limits. A distribution's kernel unpacks to 30 to 70 MiB, one with
// all its debug information to less than 500.
const (
	DefaultFileLimit     = 1 << 30
	DefaultUnpackedLimit = 512 << 20
)

func (l Limits) file() int64 {
	if l.File > 0 {
		return l.File
	}
	return DefaultFileLimit
}

func (l Limits) unpacked() int64 {
	if l.Unpacked > 0 {
		return l.Unpacked
	}
	return DefaultUnpackedLimit
}

// formatError says what is wrong with a kernel and matches ErrFormat.
type formatError struct {
	text string
	err  error // what a decompressor said, or nil
	big  bool
}

func (e *formatError) Error() string {
	if e.err != nil {
		return e.text + ": " + e.err.Error()
	}
	return e.text
}

func (e *formatError) Unwrap() error { return e.err }

func (e *formatError) Is(target error) bool {
	return target == ErrFormat || e.big && target == ErrTooBig
}

func badf(format string, args ...any) error {
	return &formatError{text: fmt.Sprintf(format, args...)}
}

func bad(err error, format string, args ...any) error {
	return &formatError{text: fmt.Sprintf(format, args...), err: err, big: errors.Is(err, ErrTooBig)}
}

func tooBig(what string, limit int64) error {
	return &formatError{text: fmt.Sprintf("%s is larger than the limit of %d MiB", what, limit>>20), big: true}
}
