package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"goxl/migrate"
)

// way reaches the xl of another host.
type way struct {
	receive string // the shell command that receives a guest
	xl      string // what calls its xl, without a verb; "" when that cannot be told
}

// bareReceiverForm is a command of which the end may be replaced: nothing in it means
// anything to a shell beyond words.
const bareReceiverForm = "^([^|;&<>()$`'\"\\\\\n]*\\S)\\s+migrate-receive(\\s+-[-a-z]+(=[-\\w.,:/\\[\\]]+)?)*\\s*$"

// wayTo is the way to host. With an empty ssh command, host is the whole command.
func (o *migrating) wayTo(g globals, terminal bool, host string) way {
	if o.ssh == "" {
		w := way{receive: host}
		if m := regexp.MustCompile(bareReceiverForm).FindStringSubmatch(host); m != nil {
			w.xl = m[1]
		}
		return w
	}
	xl := o.ssh + " " + host + " xl"
	return way{receive: "exec " + xl + o.receiver(g, terminal), xl: xl}
}

// name is what the other side is remembered by.
func (w way) name() string { return cmp.Or(w.xl, w.receive) }

// callLimit is how long a call may take that moves nothing: a password may be asked
// for, and a host may be slow.
const callLimit = 3 * time.Minute

// errNoWay is a -s command that only a receiver can be reached by.
var errNoWay = errors.New("the command is not of the form ... xl migrate-receive, so that nothing else can be asked")

// call runs one verb of the other side's xl, with a question on its input. The error
// holds what it printed.
func (w way) call(ctx context.Context, verb string, question []byte) ([]byte, error) {
	if w.xl == "" {
		return nil, errNoWay
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	var out limitedBuffer
	var errs limitedBuffer
	cmd := exec.CommandContext(ctx, "sh", "-c", "exec "+w.xl+" "+verb)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(question), &out, &errs
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", w.xl, verb, err, strings.TrimSpace(errs.String()))
	}
	return out.Bytes(), nil
}

// limitedBuffer keeps the first 16 MiB of what is written to it.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if room := 16<<20 - b.Len(); room < len(p) {
		b.Buffer.Write(p[:room])
		return len(p), nil
	}
	return b.Buffer.Write(p)
}

// exitCode is how a called command ended; -1 when it did not.
func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

// peer is the command that reaches the receiver, and the way to it.
type peer struct {
	io.WriteCloser
	io.Reader
	cmd *exec.Cmd
}

// callPeer starts a shell command. It shares our terminal: ssh may ask for a
// password.
func callPeer(command string) (*peer, error) {
	cmd := exec.Command("sh", "-c", command)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %q: %w", command, err)
	}
	return &peer{in, out, cmd}, nil
}

// partingTime is how long the receiver's command may take to end by itself.
const partingTime = 10 * time.Second

// hangUp ends the connection. How the command exits matters only when it may be
// why the migration failed.
func (p *peer) hangUp(outcome migrate.Outcome) error {
	p.Close()
	kill := time.AfterFunc(partingTime, func() { p.cmd.Process.Kill() })
	defer kill.Stop()
	err := p.cmd.Wait()
	if err == nil || outcome == migrate.Moved {
		return nil
	}
	return fmt.Errorf("the receiver's command ended with %w", err)
}
