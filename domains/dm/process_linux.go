package dm

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"

	"golang.org/x/sys/unix"

	"goxl/domains/host"
)

// process is a QEMU that we started. It lives in a session of its own and stays
// when we end; while we run, somebody has to take note of its end, which the one
// goroutine here does.
type process struct {
	pid int

	mu     sync.Mutex
	exited bool
	err    error
	notify func(error)
}

// startProcess runs binary without input, its output going to log.
func startProcess(h *host.Host, binary string, args, env []string, log *os.File) (*process, error) {
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := h.StartProcess(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	p := &process{pid: cmd.Process.Pid}
	go func() {
		err := cmd.Wait()
		if err == nil {
			err = errors.New("exit status 0")
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.exited, p.err = true, err
		if p.notify != nil {
			p.notify(err)
		}
	}()
	return p, nil
}

// onExit calls f when the process ends, or at once if it has. f must not block.
// The returned function takes that back.
func (p *process) onExit(f func(error)) (stop func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exited {
		f(p.err)
		return func() {}
	}
	p.notify = f
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.notify = nil
	}
}

// hangUp asks a device model to end, which QEMU does at once.
func (m *Models) hangUp(pid int) error { return m.signal(pid, unix.SIGHUP) }

func (m *Models) killNow(pid int) error { return m.signal(pid, unix.SIGKILL) }

func (m *Models) signal(pid int, s unix.Signal) error {
	if err := m.Host.Kill(pid, s); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal process %d: %w", pid, err)
	}
	return nil
}
