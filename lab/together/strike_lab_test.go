package together

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goxl/lab/dom0"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// attempt is a command of ours under way.
type attempt struct {
	cmd    *exec.Cmd
	line   string
	out    bytes.Buffer
	start  time.Time
	ended  chan struct{} // closed at its end
	failed error
}

func (k *killer) begin(t *testing.T, args []string) *attempt {
	ctx, cancel := context.WithTimeout(t.Context(), dom0.Patience)
	a := &attempt{cmd: exec.CommandContext(ctx, k.ours.Path, args...), line: k.ours.Line(args), start: time.Now(), ended: make(chan struct{})}
	a.cmd.Stdout, a.cmd.Stderr = &a.out, &a.out
	a.cmd.WaitDelay = time.Second // a supervisor or script that lives on may hold the pipes
	if a.failed = a.cmd.Start(); a.failed != nil {
		cancel()
		close(a.ended)
		return a
	}
	go func() {
		defer cancel()
		defer close(a.ended)
		err := a.cmd.Wait()
		if ctx.Err() != nil && t.Context().Err() == nil {
			a.failed = fmt.Errorf("%s: not done after %s", a.line, dom0.Patience)
		} else if err != nil && !errors.As(err, new(*exec.ExitError)) && !errors.Is(err, exec.ErrWaitDelay) {
			a.failed = err
		}
	}()
	return a
}

// wait returns how long the command took. The error is that of one that did not end,
// or that broke down by itself.
func (a *attempt) wait() (time.Duration, error) {
	<-a.ended
	if a.failed == nil && strings.Contains(a.out.String(), "goroutine ") {
		a.failed = fmt.Errorf("%s broke down:\n%s", a.line, &a.out)
	}
	return time.Since(a.start), a.failed
}

func (a *attempt) code() int { return a.cmd.ProcessState.ExitCode() }

// over reports whether the command has ended.
func (a *attempt) over() bool {
	select {
	case <-a.ended:
		return true
	default:
		return false
	}
}

// strike has an accident happen to a command after a time, and reports whether it did
// happen while the command, or what it began, was under way.
func (k *killer) strike(t *testing.T, a *attempt, what accident, v *victim, after time.Duration) bool {
	select {
	case <-a.ended:
		if what != supervisor { // which works on
			return false
		}
	case <-time.After(after):
	}
	switch what {
	case command:
		return !a.over() && a.cmd.Process.Kill() == nil
	case script:
		return killScript(a)
	case supervisor:
		return killAll(dom0.Supervisors(t))
	}
	id := k.id(t, v)
	n, err := strconv.Atoi(id)
	if err != nil || a.over() {
		return false
	}
	if what == destroyed {
		return k.try(t, k.genuine, "destroy", id).Code == 0
	}
	h, err := xenctrl.Open()
	if err != nil {
		t.Error(err)
		return false
	}
	defer h.Close()
	return h.RemoteShutdown(xenctrl.DomID(n), abi.ShutdownCrash) == nil
}

// killScript waits for a hotplug script of ours to run for the command, and kills it.
func killScript(a *attempt) bool {
	for !a.over() {
		if killAll(scriptsOf(a.cmd.Process.Pid)) {
			return true
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false
}

// scriptsOf are the processes that run a copy of a hotplug script for process parent.
func scriptsOf(parent int) []int {
	dirs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well formed
	var all []int
	for _, dir := range dirs {
		line, err := os.ReadFile(dir + "/cmdline")
		if err != nil || !bytes.Contains(line, []byte(scriptMark+"\x00")) {
			continue
		}
		stat, err := os.ReadFile(dir + "/stat")
		if err != nil {
			continue
		}
		f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err == nil && len(f) > 1 && f[1] == strconv.Itoa(parent) {
			all = append(all, pid)
		}
	}
	return all
}

// killAll reports whether it killed anybody.
func killAll(pids []int) bool {
	hit := false
	for _, pid := range pids {
		hit = unix.Kill(pid, unix.SIGKILL) == nil || hit
	}
	return hit
}

// id returns the guest's domain id, "" if no domain bears its name.
func (k *killer) id(t *testing.T, v *victim) string {
	ids, err := k.store.List(t.Context(), "/local/domain")
	if err != nil {
		t.Error(err)
	}
	for _, id := range ids {
		if name, err := k.store.Read(t.Context(), "/local/domain/"+id+"/name"); err == nil && name == v.name {
			return id // any other error: it has none yet, or has gone
		}
	}
	return ""
}

// try runs a command that may fail, but has to end.
func (k *killer) try(t *testing.T, x dom0.Tool, args ...string) dom0.Result {
	r, err := x.Try(t.Context(), dom0.Patience, args...)
	if err != nil && t.Context().Err() == nil {
		t.Error(err)
	}
	return r
}

func (k *killer) exists(t *testing.T, id string) bool { return slices.Contains(domainIDs(t), id) }
