package background_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goxl/cmd/internal/background"
)

// TestMain is also the daemon of these tests, which does as its first argument says.
func TestMain(m *testing.M) {
	if os.Getenv("GOXL_TEST_DAEMON") == "" {
		os.Exit(m.Run())
	}
	if !background.Is() {
		log, err := os.OpenFile(os.Args[2], os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err == nil {
			err = background.Start(log)
		}
		if err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Stdout.WriteString("out ")
	os.Stderr.WriteString("err")
	switch os.Args[1] {
	case "work":
		background.Report(nil)
		background.Report(errors.New("too late"))
		if background.Is() {
			os.Exit(3)
		}
		os.Stdout.WriteString(" works")
		time.Sleep(100 * time.Millisecond)
		os.WriteFile(os.Args[2]+".done", nil, 0o600)
	case "refuse":
		background.Report(errors.New("no\nluck"))
	}
}

func TestStart(t *testing.T) {
	for _, tt := range []struct {
		do, stderr, log string
		status          int
	}{
		{"work", "", "out err works", 0},
		{"refuse", "no; luck", "out err", 1},
		{"die", "start in the background: it ended: exit status 0", "out err", 1},
	} {
		log := filepath.Join(t.TempDir(), "log")
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self, tt.do, log)
		cmd.Env = append(os.Environ(), "GOXL_TEST_DAEMON=1")
		var stderr strings.Builder
		cmd.Stderr = &stderr
		err = cmd.Run()
		if got := cmd.ProcessState.ExitCode(); got != tt.status || stderr.String() != tt.stderr {
			t.Errorf("%s: exit %d (%v), stderr %q; want %d, %q", tt.do, got, err, stderr.String(), tt.status, tt.stderr)
		}
		for end := time.Now().Add(10 * time.Second); tt.do == "work"; time.Sleep(10 * time.Millisecond) {
			if _, err := os.Stat(log + ".done"); err == nil {
				break
			}
			if time.Now().After(end) {
				t.Fatal("it did not work on")
			}
		}
		if b, err := os.ReadFile(log); err != nil || string(b) != tt.log {
			t.Errorf("%s: log %q, %v; want %q", tt.do, b, err, tt.log)
		}
	}
}

func TestForeground(t *testing.T) {
	if background.Is() {
		t.Error("a test is in the background")
	}
	background.Report(errors.New("nobody hears"))
}
