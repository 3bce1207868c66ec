package console

import (
	"io"
	"time"
)

// outlet is where a console's output goes and its input comes from. One goroutine reads
// and another one writes.
type outlet interface {
	io.ReadWriteCloser

	// A deadline that has passed ends a Read or a Write with os.ErrDeadlineExceeded,
	// and all later ones until it is set to zero. No other deadlines are set.
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error

	// Unread returns how much of the output nobody has read yet, as far as is known.
	Unread() (int, error)
	// Path is what others open.
	Path() string
}
