package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"

	"goxl/xenstore"
	"goxl/xenstore/wire"
)

// controller is one invocation of xenstore-control.
type controller struct {
	env
	client *xenstore.Client
}

// control is the main of xenstore-control: it returns the exit code.
func control(ctx context.Context, args []string, e env) int {
	if len(args) < 2 {
		fmt.Fprintf(e.stderr, "Usage:\n%s <command> [<arg>...]\n", args[0])
		return 2
	}
	client, err := e.dial(ctx, false)
	if err != nil {
		fmt.Fprintln(e.stderr, "Failed to contact Xenstored.")
		return 1
	}
	defer client.Close()
	c := &controller{env: e, client: client}
	if args[1] == "live-update" && e.release >= 15 {
		return c.liveUpdate(ctx, args[2:])
	}
	reply, err := c.send(ctx, args[1], args[2:]...)
	switch {
	case err == nil && reply != "":
		fmt.Fprintln(e.stdout, reply)
	case err == nil:
	case errno(err) != syscall.EINVAL:
		fmt.Fprintf(e.stderr, "Error %d when trying to execute command.\n", int(errno(err)))
		return 3
	default:
		if help, err := c.send(ctx, "help"); err == nil {
			fmt.Fprintf(e.stderr, "Command not supported. Valid commands are:\n%s\n", help)
		} else {
			fmt.Fprintln(e.stderr, "Error when executing command.")
		}
		return 3
	}
	return 0
}

// send returns the reply up to its first NUL, as C strings are printed.
func (c *controller) send(ctx context.Context, command string, args ...string) (string, error) {
	payload := wire.AppendStrings(wire.AppendStrings(nil, command), args...)
	b, err := c.client.Do(ctx, wire.OpControl, payload)
	return wire.TrimNUL(b), err
}

// step sends a part of a live update, whose only good answer is OK.
func (c *controller) step(ctx context.Context, what string, args ...string) bool {
	reply, err := c.send(ctx, "live-update", args...)
	if err == nil && reply == "OK" {
		return true
	}
	if err != nil {
		reply = strerror(err)
	}
	fmt.Fprintf(c.stderr, "%s failed:\n%s\n", what, reply)
	return false
}

// update is what live-update was asked to do.
type update struct {
	binary, cmdline string
	hasCmdline      bool
	force           bool
	timeout         uint32 // seconds
	version         uint32 // 0: as it is
}

// liveUpdate replaces the running daemon, or stub domain, by binary.
func (c *controller) liveUpdate(ctx context.Context, args []string) int {
	u, ok := c.parseUpdate(args)
	if !ok {
		return 2
	}
	if _, err := c.client.Read(ctx, "/tool/xenstored/domid"); err == nil {
		if code := c.sendKernel(ctx, u.binary); code != 0 {
			c.abort(ctx)
			return code
		}
	} else if !c.step(ctx, "Setting update binary", "-f", u.binary) {
		return 3
	}
	if u.hasCmdline && !c.step(ctx, "Setting update binary", "-c", u.cmdline) || !c.start(ctx, u) {
		c.abort(ctx)
		return 3
	}
	return 0
}

func (c *controller) parseUpdate(args []string) (u update, ok bool) {
	u.timeout = 60
	values := map[string]struct {
		name string
		set  func(string)
	}{
		"-c": {"command line", func(s string) { u.cmdline, u.hasCmdline = s, true }},
		"-t": {"timeout", func(s string) { u.timeout = uint32(atoi(s)) }},
	}
	if c.release >= 21 {
		values["-v"] = struct {
			name string
			set  func(string)
		}{"version", func(s string) { u.version = uint32(atoi(s)) }}
	}
	given := false
	for i := 0; i < len(args); i++ {
		v, takes := values[args[i]]
		switch {
		case takes && i+1 == len(args):
			fmt.Fprintf(c.stderr, "Missing %s value\n", v.name)
			return u, false
		case takes:
			i++
			v.set(args[i])
		case args[i] == "-F":
			u.force = true
		default:
			u.binary, given = args[i], true
		}
	}
	if !given {
		fmt.Fprintln(c.stderr, "Missing binary specification")
	}
	return u, given
}

// start asks for the update until the store is not busy with transactions, once
// a second and for as long as u says.
func (c *controller) start(ctx context.Context, u update) bool {
	args := []string{"-s", "-t", strconv.FormatUint(uint64(u.timeout), 10)}
	if u.force {
		args = append(args, "-F")
	}
	if u.version != 0 {
		args = append(args, "-v", strconv.FormatUint(uint64(u.version), 10))
	}
	reply, err := "BUSY", error(nil)
	for began := time.Now(); time.Since(began) < time.Duration(u.timeout)*time.Second; time.Sleep(time.Second) {
		if reply, err = c.send(ctx, "live-update", args...); err != nil || reply != "BUSY" {
			break
		}
	}
	if err == nil && reply == "OK" {
		return true
	}
	if err != nil {
		reply = strerror(err)
	}
	fmt.Fprintf(c.stderr, "Starting live update failed:\n%s\n", reply)
	return false
}

func (c *controller) abort(ctx context.Context) { c.send(ctx, "live-update", "-a") }

const (
	maxKernel   = 256 << 20 // of an unpacked stub domain
	kernelChunk = 2048
)

// sendKernel transfers a new stub domain: its size, then the unpacked file.
func (c *controller) sendKernel(ctx context.Context, file string) int {
	b, err := readKernel(file)
	if err != nil {
		fmt.Fprintln(c.stderr, err)
		return 1
	}
	if !c.step(ctx, "Starting live update", "-b", strconv.Itoa(len(b))) {
		return 3
	}
	for len(b) > 0 {
		n := min(len(b), kernelChunk)
		if !c.step(ctx, "Transfer of new binary", "-d", strconv.Itoa(n), string(b[:n])) {
			return 3
		}
		b = b[n:]
	}
	return 0
}

// readKernel reads a file that may be packed with gzip.
func readKernel(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxKernel+1))
	if err != nil {
		return nil, err
	}
	if z, zerr := gzip.NewReader(bytes.NewReader(b)); zerr == nil {
		if b, err = io.ReadAll(io.LimitReader(z, maxKernel+1)); err != nil {
			return nil, fmt.Errorf("unpack %s: %w", file, err)
		}
	}
	if len(b) > maxKernel {
		return nil, fmt.Errorf("%s: %w", file, errors.New("more than 256 MiB"))
	}
	return b, nil
}
