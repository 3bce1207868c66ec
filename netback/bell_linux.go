package netback

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bell wakes a queue's goroutine from others. It is an eventfd. The zero value is none.
type bell struct {
	fd   int
	cast bool
}

// make makes the bell.
func (b *bell) make() error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	b.fd, b.cast = fd, true
	return nil
}

// FD returns what to poll.
func (b *bell) FD() int { return b.fd }

// ring may be called by any goroutine, until close. It does not block.
func (b *bell) ring() {
	one := uint64(1)
	b.call(unix.SYS_WRITE, &one) // one that cannot be rung any louder rings
}

// hush ends the ringing.
func (b *bell) hush() {
	var n uint64
	b.call(unix.SYS_READ, &n) // silent already is as good
}

func (b *bell) call(trap uintptr, n *uint64) {
	_, _, _ = unix.RawSyscall(trap, uintptr(b.fd), uintptr(unsafe.Pointer(n)), unsafe.Sizeof(*n))
}

func (b *bell) close() error {
	if !b.cast {
		return nil
	}
	b.cast = false
	return unix.Close(b.fd)
}
