package sdnotify

import (
	"net"
	"path/filepath"
	"testing"
)

func TestSend(t *testing.T) {
	for name, path := range map[string]string{
		"a path":           filepath.Join(t.TempDir(), "notify"),
		"an abstract name": "@goxl-sdnotify-test-" + filepath.Base(t.TempDir()),
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			t.Setenv("NOTIFY_SOCKET", path)
			if err := Send(Ready, "STATUS=fine"); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 100)
			n, err := l.Read(b)
			if got := string(b[:n]); err != nil || got != "READY=1\nSTATUS=fine" {
				t.Errorf("systemd got %q, %v", got, err)
			}
		})
	}
}

func TestSendWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := Send(Ready); err != nil {
		t.Error(err)
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	if err := Send(Ready); err == nil {
		t.Error("nobody listens, and no error")
	}
}
