//go:build unix

package daemon_test

import (
	"path/filepath"
	"strings"
	"testing"

	"goxl/cmd/internal/daemon"
)

func TestOneAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "lock")
	first, err := daemon.Lock(path, "netback")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := daemon.Lock(path, "netback"); err == nil || !strings.Contains(err.Error(), "another netback") {
		t.Errorf("a second lock: %v", err)
	}
	first.Close()
	second, err := daemon.Lock(path, "netback")
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
}
