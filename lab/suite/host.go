package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"goxl/lab"
	"goxl/lab/mini"
)

// maxBoots is how often a host may be lost and started again.
const maxBoots = 3

// onHosts runs packages of the queue on a host of the target's. A host that hangs or
// dies costs the package that was running, and is replaced for the next one.
func (r *runner) onHosts(ctx context.Context, t Target, q *queue) {
	var l *lab.Lab
	defer func() {
		if l != nil {
			l.Close()
		}
	}()
	for boots := 0; ctx.Err() == nil; {
		p, ok := q.next()
		if !ok {
			return
		}
		if l == nil {
			if boots == maxBoots {
				r.tally.Fail(Failure{t.String(), p.Path, "", "not run: its host was lost too often"})
				continue
			}
			boots++
			var err error
			if l, err = r.boot(ctx, t); err != nil {
				r.tally.Fail(Failure{t.String(), p.Path, "", err.Error()})
				l = nil
				continue
			}
		}
		h := l.Hosts[0]
		err := r.onHost(ctx, t, h, p)
		if ctx.Err() != nil {
			return // told as the end of the whole run
		}
		if err != nil {
			r.tally.Fail(Failure{t.String(), p.Path, "", err.Error() + "\n" + consoleTail(h)})
			l.Close()
			l = nil
		}
	}
}

// onPair runs a package that needs a second host on two of its own.
func (r *runner) onPair(ctx context.Context, t Target, p Package) {
	l, err := r.boot(ctx, t)
	if err == nil {
		defer l.Close()
		if err = r.onHost(ctx, t, l.Hosts[0], p); err != nil {
			err = fmt.Errorf("%w\n%s", err, consoleTail(l.Hosts[0]))
		}
	}
	if err != nil && ctx.Err() == nil {
		r.tally.Fail(Failure{t.String(), p.Path, "", err.Error()})
	}
}

// boot starts a host, or two, and puts our programs where they belong.
func (r *runner) boot(ctx context.Context, t Target) (*lab.Lab, error) {
	image, err := r.Cache.Image(ctx, t.Release, r.log)
	if err != nil {
		return nil, err
	}
	o := lab.Options{MemMiB: hostMemMiB, Stores: []string{t.Store}, Payload: r.payload, Progress: r.log}
	if t.Peer.Xen != "" {
		peer, err := r.Cache.Image(ctx, t.Peer, r.log)
		if err != nil {
			return nil, err
		}
		o.Hosts, o.MemMiB, o.Images = 2, pairMemMiB, []*lab.Image{image, peer}
	}
	l, err := lab.Up(ctx, r.Cache, image, o)
	if err != nil {
		return nil, err
	}
	const set = "mkdir -p /opt/goxl && cd /mnt/payload && cp -a bin examples src mini /opt/goxl/"
	for _, h := range l.Hosts {
		if _, err := h.Output(ctx, set); err != nil {
			return nil, errors.Join(fmt.Errorf("install our programs on host %d of %s: %w", h.Number, t, err), l.Close())
		}
	}
	return l, nil
}

// onHost runs one package's tests. An error means that the host is lost.
func (r *runner) onHost(ctx context.Context, t Target, h *lab.Host, p Package) error {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, 2*r.Limit+time.Minute)
	defer cancel()
	r.log.note(t.String(), p.Path)
	result, err := r.execute(ctx, t, h, p, r.pattern(), r.tally)
	if err != nil {
		return err
	}
	r.log.note(t.String(), fmt.Sprintf("%s: %s in %s", p.Path, result, time.Since(begin).Round(100*time.Millisecond)))
	if result.Failed > 0 {
		r.explain(ctx, t, h)
		err = r.again(ctx, t, h, p)
	}
	r.sweep(ctx, t, h, p)
	return err
}

// pattern says which tests run.
func (r *runner) pattern() string {
	if r.Tests != "" {
		return r.Tests
	}
	return "^TestLab"
}

// execute runs those tests of a package that match and adds them up in tally. An
// error means that the host is lost.
func (r *runner) execute(ctx context.Context, t Target, h *lab.Host, p Package, pattern string, tally *Tally) (result Result, err error) {
	begin := time.Now()
	out, in := io.Pipe()
	convert := goCommand(ctx, r.Module, "tool", "test2json", "-t", "-p", p.Path)
	convert.Stdin = out

	var stderr strings.Builder
	lost := make(chan error, 1)
	go func() {
		err := h.Run(ctx, r.command(t, p, pattern), lab.Streams{Stdout: in, Stderr: io.MultiWriter(in, &stderr)})
		in.Close()
		lost <- err
	}()
	err = pipe(convert, func(events io.Reader) (err error) {
		result, err = tally.Add(t.String(), events)
		return err
	})
	out.Close()
	runErr := <-lost
	var exit *lab.ExitError
	if runErr != nil && !errors.As(runErr, &exit) {
		return result, fmt.Errorf("the host was lost after %s: %w", time.Since(begin).Round(time.Second), runErr)
	}
	return result, err
}

// command is what runs a package's tests in dom0.
func (r *runner) command(t Target, p Package, pattern string) string {
	matrix := "cover"
	if r.Full {
		matrix = "full"
	}
	return strings.Join([]string{
		"cd /opt/goxl/src/" + p.Dir, "&&",
		"XEN_TEST=require GOXL_BIN=/opt/goxl/bin GOXL_EXAMPLES=/opt/goxl/examples GOXL_GUEST=/opt/guest",
		mini.Env + "=" + mini.Path,
		"GOXL_MATRIX=" + matrix, "GOXL_XEN=" + t.Release.Xen, "GOXL_XENSTORED=" + t.Store, "GENUINE_XL=/usr/lib/xen-" + t.Release.Xen + "/bin/xl",
		t.beside(), "exec /mnt/payload/tests/" + p.binary(), "-test.run='" + pattern + "'", "-test.skip='" + r.Done[t.String()] + "'", "-test.v=test2json",
		fmt.Sprintf("-test.timeout=%s", r.Limit),
	}, " ")
}

// beside is what tells a test of the second host.
func (t Target) beside() string {
	if t.Peer.Xen == "" {
		return ""
	}
	return "GOXL_PEER=10.77.0.2 GOXL_PEER_XEN=" + t.Peer.Xen
}

// explain shows what Xen had to say after a failure.
func (r *runner) explain(ctx context.Context, t Target, h *lab.Host) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	const ask = "xl dmesg | tail -n 12; dmesg | tail -n 6; xl list"
	out, err := h.Output(ctx, ask)
	if err != nil {
		out += err.Error()
	}
	r.log.block(t.String()+": xl dmesg, dom0's dmesg and xl list end with", out)
}

// sweep destroys the guests that a package left behind, so that they cost the
// next one neither memory nor names, and says which.
func (r *runner) sweep(ctx context.Context, t Target, h *lab.Host, p Package) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	const sweep = `xl list | awk 'NR > 1 && $2 != "0" && $1 != "0" {print $1, $2}' | while read -r name id; do echo "$name"; xl destroy "$id"; done; exit 0`
	out, err := h.Output(ctx, sweep)
	if left := strings.Join(strings.Fields(out), ", "); left != "" {
		r.log.note(t.String(), p.Path+" left guests behind: "+left)
	}
	if err != nil {
		r.log.note(t.String(), "look for guests left behind: "+err.Error())
	}
}

func consoleTail(h *lab.Host) string {
	data, err := readTail(h.ConsoleLog(), 3000)
	if err != nil {
		return err.Error()
	}
	return "the host's console ends with:\n" + data
}

// pipe runs cmd and gives its standard output to read.
func pipe(cmd *exec.Cmd, read func(io.Reader) error) error {
	var errs strings.Builder
	cmd.Stderr = &errs
	cmd.WaitDelay = 10 * time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	readErr := read(out)
	if err := cmd.Wait(); err != nil {
		return errors.Join(fmt.Errorf("%w\n%s", err, errs.String()), readErr)
	}
	return readErr
}
