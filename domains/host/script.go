package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// ScriptTimeout is how long a hotplug script may run before it is killed.
const ScriptTimeout = 40 * time.Second // LIBXL_HOTPLUG_TIMEOUT

// ErrScript says that a hotplug script ran and failed, or ran for too long.
var ErrScript = errors.New("hotplug script failed")

// Script is one run of a hotplug script.
type Script struct {
	Path string
	Args []string
	Env  []string // "NAME=value", in addition to this process's own environment

	// Output receives the script's standard output and error until it redirects
	// them itself, as the distribution's do to xen-hotplug.log; nil is our stderr.
	Output *os.File

	Timeout time.Duration // zero is ScriptTimeout
}

// RunScript runs a script and waits for its end. It has no input. When ctx ends or
// the time is over, the script and the programs it started are killed.
func (h *Host) RunScript(ctx context.Context, s *Script) error {
	timeout := s.Timeout
	if timeout == 0 {
		timeout = ScriptTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("not done after %v", timeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, s.Path, s.Args...)
	cmd.Env = append(os.Environ(), s.Env...)
	out := s.Output
	if out == nil {
		out = os.Stderr
	}
	cmd.Stdout, cmd.Stderr = out, out
	killGroup(cmd)
	err := h.StartProcess(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w: killed, %w", s, ErrScript, context.Cause(ctx))
	case errors.As(err, new(*exec.ExitError)):
		return fmt.Errorf("%s: %w: %w (see the log xen-hotplug.log)", s, ErrScript, err)
	}
	return fmt.Errorf("%s: %w: %w", s, ErrScript, err)
}

// String returns the command as a message names it.
func (s *Script) String() string {
	text := s.Path
	for _, a := range s.Args {
		text += " " + a
	}
	return text
}
