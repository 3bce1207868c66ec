package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// lookalike runs a program called name until the test ends, and returns its number.
func lookalike(t *testing.T, name string) int {
	t.Helper()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip(err)
	}
	b, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "100")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd.Process.Pid
}

func TestPIDFile(t *testing.T) {
	for _, tt := range []struct {
		name    string
		content func() string
		refused bool
	}{
		{"none there", nil, false},
		{"empty", func() string { return "" }, false},
		{"of a dead daemon", func() string { return "4194305\n" }, false},
		{"of a living genuine daemon", func() string { return fmt.Sprintln(lookalike(t, "xenconsoled")) }, true},
		{"of a living daemon of ours", func() string { return fmt.Sprintln(lookalike(t, "consoled")) }, true},
		{"of a process that has its number now", func() string { return fmt.Sprintln(lookalike(t, "other")) }, false},
		{"of something else", func() string { return "no number, and longer than ours" }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "run", "xenconsoled.pid")
			if tt.content != nil {
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(tt.content()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			p, err := takePIDFile(path)
			if tt.refused {
				if err == nil || !strings.Contains(err.Error(), "serves the consoles; stop it first") {
					t.Errorf("takePIDFile() = %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if b, err := os.ReadFile(path); err != nil || string(b) != fmt.Sprintln(os.Getpid()) {
				t.Errorf("the file says %q, %v", b, err)
			}
			p.release()
			if _, err := os.Stat(path); !os.IsNotExist(err) {
				t.Errorf("after release: %v", err)
			}
		})
	}
}
