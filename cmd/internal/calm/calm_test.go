package calm_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "goxl/cmd/internal/calm"
)

func TestMain(m *testing.M) {
	if os.Getenv("GOXL_TEST_THREADS") == "" {
		os.Exit(m.Run())
	}
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, t := range tasks {
		b, err := os.ReadFile(filepath.Join("/proc", t.Name(), "timerslack_ns"))
		fmt.Print(strings.TrimSpace(string(b)), err, " ")
	}
}

// Of a program that starts, the second thread has the slack and no other.
func TestSecondThread(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("root alone may give threads slack")
	}
	if _, err := os.Stat("/proc/self/timerslack_ns"); err != nil {
		t.Skip("this kernel has no timer slack of other threads: ", err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "GOXL_TEST_THREADS=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	threads := strings.Fields(string(out))
	for i, slack := range threads {
		if calm := slack == "10000000<nil>"; calm != (i == 1) {
			t.Errorf("thread %d of %q has a slack of %s", i+1, threads, slack)
		}
	}
	if len(threads) < 2 {
		t.Errorf("threads: %q", threads)
	}
}
