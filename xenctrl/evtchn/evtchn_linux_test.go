package evtchn

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fake returns a set of ports on one end of a socket, and the kernel's end.
func fake(t *testing.T) (*Conn, *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := &Conn{f: os.NewFile(uintptr(fds[0]), "ports")}
	kernel := os.NewFile(uintptr(fds[1]), "kernel")
	t.Cleanup(func() {
		if err := errors.Join(c.Close(), kernel.Close()); err != nil {
			t.Error(err)
		}
	})
	return c, kernel
}

func ports(p ...Port) []byte {
	var b []byte
	for _, x := range p {
		b = binary.NativeEndian.AppendUint32(b, uint32(x))
	}
	return b
}

func TestWaitReturnsAllPorts(t *testing.T) {
	c, kernel := fake(t)
	if _, err := kernel.Write(ports(5, 9, 5)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []Port{5, 9, 5} {
		if p, err := c.Wait(context.Background()); err != nil || p != want {
			t.Errorf("Wait() = %d, %v, want %d", p, err, want)
		}
	}
	if err := c.Unmask(9); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 8)
	if n, err := kernel.Read(b); err != nil || n != 4 || binary.NativeEndian.Uint32(b) != 9 {
		t.Errorf("Unmask wrote %x, %v", b[:n], err)
	}
}

func TestWaitEndsWithContext(t *testing.T) {
	c, kernel := fake(t)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := c.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Wait() = %v, want the deadline", err)
	}
	if _, err := c.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Wait() with an ended context = %v", err)
	}
	if _, err := kernel.Write(ports(3)); err != nil {
		t.Fatal(err)
	}
	if p, err := c.Wait(context.Background()); err != nil || p != 3 {
		t.Errorf("Wait() after a cancelled one = %d, %v", p, err)
	}
}

func TestCloseEndsWait(t *testing.T) {
	c, _ := fake(t)
	done := make(chan error)
	go func() {
		_, err := c.Wait(context.Background())
		done <- err
	}()
	time.Sleep(5 * time.Millisecond)
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Errorf("Wait() = %v, want os.ErrClosed", err)
	}
	if err := c.Notify(3); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Notify() = %v, want os.ErrClosed", err)
	}
}

func TestPolledTakesOneByOne(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := &Polled{fd: fds[0]}
	kernel := os.NewFile(uintptr(fds[1]), "kernel")
	defer kernel.Close()
	if p, ok, err := c.Take(); ok || err != nil {
		t.Errorf("Take() = %d, %v, %v with no event", p, ok, err)
	}
	for _, p := range []Port{5, 9} {
		if _, err := kernel.Write(ports(p)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []Port{5, 9} {
		if p, ok, err := c.Take(); p != want || !ok || err != nil {
			t.Errorf("Take() = %d, %v, %v, want %d", p, ok, err, want)
		}
	}
	if err := c.Unmask(9); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 8)
	if n, err := kernel.Read(b); err != nil || n != 4 || binary.NativeEndian.Uint32(b) != 9 {
		t.Errorf("Unmask wrote %x, %v", b[:n], err)
	}
	if n := testing.AllocsPerRun(20, func() {
		_ = c.Unmask(9)
		_, _, _ = c.Take()
		_, _ = unix.Read(fds[1], b)
	}); n > 0 {
		t.Errorf("%v allocations for an event", n)
	}
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Error(err)
	}
	if _, _, err := c.Take(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Take() = %v after Close", err)
	}
	if err := c.Unmask(9); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Unmask() = %v after Close", err)
	}
	if err := c.Notify(9); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Notify() = %v after Close", err)
	}
}
