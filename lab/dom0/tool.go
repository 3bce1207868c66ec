package dom0

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Patience is how long anything may take on an emulated machine beside others. What
// is well takes a fraction of it.
const Patience = 5 * time.Minute

// Tool is one of the two toolstacks on the host.
type Tool struct {
	Name string // "ours" or "genuine"
	Path string // of its xl
}

// Result is how a command ended.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Toolstacks finds ours and the genuine xl from what the lab put in the environment.
func Toolstacks(t *testing.T) (ours, genuine Tool) {
	t.Helper()
	ours = Tool{"ours", filepath.Join(Getenv(t, "GOXL_BIN"), "xl")}
	genuine = Tool{"genuine", Getenv(t, "GENUINE_XL")}
	return ours, genuine
}

// Getenv returns a variable that the lab sets for its tests.
func Getenv(t *testing.T, key string) string {
	t.Helper()
	v := os.Getenv(key)
	if v == "" {
		t.Fatalf("%s is not set: run this by `make test`, which sets it in the lab", key)
	}
	return v
}

// Try runs the tool and returns how it ended. The error is that of a command that
// could not be started, or that was not done within the limit and was killed.
func (x Tool) Try(ctx context.Context, limit time.Duration, args ...string) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, x.Path, args...)
	var out, errb bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errb
	cmd.WaitDelay = time.Second // a process that the command left behind may hold the pipes
	err := cmd.Run()
	r := Result{out.String(), errb.String(), 0}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return r, fmt.Errorf("%s: not done after %s\nstdout: %s\nstderr: %s", x.Line(args), limit, r.Stdout, r.Stderr)
	case errors.As(err, &exit):
		r.Code = exit.ExitCode()
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return r, fmt.Errorf("%s: %w", x.Line(args), err)
	}
	return r, nil
}

// Line is a command as a message names it.
func (x Tool) Line(args []string) string { return x.Name + " xl " + strings.Join(args, " ") }

// Run runs the tool and returns how it ended; only a command that cannot be
// started or that outlives the limit fails the test.
func (x Tool) Run(t *testing.T, limit time.Duration, args ...string) Result {
	t.Helper()
	started := time.Now()
	r, err := x.Try(context.WithoutCancel(t.Context()), limit, args...) // cleanups run commands, too
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: exit %d after %s", x.Line(args), r.Code, time.Since(started).Round(10*time.Millisecond))
	return r
}

// Must runs the tool, fails the test unless it exits 0, and returns its output.
func (x Tool) Must(t *testing.T, args ...string) string {
	t.Helper()
	r := x.Run(t, Patience, args...)
	if r.Code != 0 {
		t.Fatalf("%s: exit %d\nstdout: %s\nstderr: %s", x.Line(args), r.Code, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// Sh runs a shell command on the host and returns its output. Cleanups may call it.
func Sh(t *testing.T, script string) string {
	t.Helper()
	out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "sh", "-c", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}
