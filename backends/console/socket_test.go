package console

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func newSocket(t *testing.T) *socket {
	t.Helper()
	s, err := openSocket(filepath.Join(t.TempDir(), "socket"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func client(t *testing.T, s *socket) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", s.Path())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

func read(t *testing.T, r io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if _, err := io.ReadFull(r, b); err != nil || string(b) != want {
		t.Fatalf("read %q, %v, want %q", b, err, want)
	}
}

func write(t *testing.T, w io.Writer, s string) {
	t.Helper()
	if n, err := io.WriteString(w, s); n != len(s) || err != nil {
		t.Fatalf("wrote %d of %q: %v", n, s, err)
	}
}

// TestSocketClients has one client after the other, the second waiting for the first
// one's end.
func TestSocketClients(t *testing.T) {
	s := newSocket(t)
	first, second := client(t, s), client(t, s)
	write(t, s, "to the first")
	read(t, first, "to the first")
	write(t, first, "from the first")
	read(t, s, "from the first")
	write(t, second, "from the second")
	go first.Close()
	read(t, s, "from the second") // finds the first one gone
	write(t, s, "to the second")
	read(t, second, "to the second")
}

// TestSocketDeadlines: they end what waits for a client, and for a client's bytes.
func TestSocketDeadlines(t *testing.T) {
	for _, tt := range []struct {
		name   string
		client bool
	}{{"without a client", false}, {"with a silent client", true}} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSocket(t)
			if tt.client {
				c := client(t, s)
				write(t, c, "hello")
				read(t, s, "hello")
			}
			ended := make(chan error, 1)
			go func() {
				_, err := s.Read(make([]byte, 8))
				ended <- err
			}()
			time.Sleep(20 * time.Millisecond)
			s.SetReadDeadline(time.Unix(1, 0))
			if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Read ended with %v", err)
			}
			s.SetReadDeadline(time.Time{})
			go func() {
				_, err := s.Read(make([]byte, 8))
				ended <- err
			}()
			time.Sleep(20 * time.Millisecond)
			s.Close()
			if err := <-ended; !errors.Is(err, os.ErrClosed) {
				t.Errorf("Read ended with %v", err)
			}
			s.SetWriteDeadline(time.Unix(1, 0))
			if _, err := s.Write([]byte("late")); !errors.Is(err, os.ErrClosed) {
				t.Errorf("Write ended with %v", err)
			}
		})
	}
}

func TestSocketPlaces(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if _, err := openSocket(stale); err == nil {
		t.Error("another process's socket was taken")
	}
	l.Close()
	s, err := openSocket(stale)
	if err != nil {
		t.Fatalf("a killed process's socket: %v", err)
	}
	if s.Close(); exists(stale) {
		t.Error("the socket stays")
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openSocket(file); err == nil || !exists(file) {
		t.Errorf("a file was taken for a socket: %v", err)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
