package interop

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is how long anything may take on an emulated machine beside others. What
// is well takes a fraction of it.
const patience = 5 * time.Minute

// tool is one of the two toolstacks on the host.
type tool struct {
	name string
	path string
}

// result is how a command ended.
type result struct {
	stdout, stderr string
	code           int
}

// toolstacks finds ours and the genuine xl from what the lab put in the environment.
func toolstacks(t *testing.T) (ours, genuine tool) {
	t.Helper()
	ours = tool{"ours", filepath.Join(getenv(t, "GOXL_BIN"), "xl")}
	genuine = tool{"genuine", getenv(t, "GENUINE_XL")}
	return ours, genuine
}

func getenv(t *testing.T, key string) string {
	t.Helper()
	v := os.Getenv(key)
	if v == "" {
		t.Fatalf("%s is not set: run this by `make test`, which sets it in the lab", key)
	}
	return v
}

// run runs the tool and returns how it ended; only a command that cannot be
// started or that outlives the limit fails the test.
func (x tool) run(t *testing.T, limit time.Duration, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), limit) // cleanups run commands, too
	defer cancel()
	cmd := exec.CommandContext(ctx, x.path, args...)
	var out, errb bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errb
	cmd.WaitDelay = time.Second // a process that the command left behind may hold the pipes
	started := time.Now()
	err := cmd.Run()
	r := result{out.String(), errb.String(), 0}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		t.Fatalf("%s xl %s: not done after %s\nstdout: %s\nstderr: %s", x.name, strings.Join(args, " "), limit, r.stdout, r.stderr)
	case errors.As(err, &exit):
		r.code = exit.ExitCode()
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		t.Fatalf("%s xl %s: %v", x.name, strings.Join(args, " "), err)
	}
	t.Logf("%s xl %s: exit %d after %s", x.name, strings.Join(args, " "), r.code, time.Since(started).Round(10*time.Millisecond))
	return r
}

// must runs the tool and fails the test unless it exits 0.
func (x tool) must(t *testing.T, args ...string) string {
	t.Helper()
	r := x.run(t, patience, args...)
	if r.code != 0 {
		t.Fatalf("%s xl %s: exit %d\nstdout: %s\nstderr: %s", x.name, strings.Join(args, " "), r.code, r.stdout, r.stderr)
	}
	return r.stdout
}

// sh runs a shell command on the host and returns its output.
func sh(t *testing.T, script string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sh", "-c", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}
