package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goxl/domains/devd"
	files "goxl/domains/host"
	"goxl/domains/logs"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
	"goxl/xenstore/server"
)

// newDevd is a daemon in domain self of a xenstore in memory.
func newDevd(t *testing.T, srv *server.Server, self abi.DomID) *hotplugDaemon {
	p := files.DefaultPaths()
	p.Scripts = t.TempDir()
	return &hotplugDaemon{
		host: files.New(p), lock: filepath.Join(t.TempDir(), "run/lock"), ready: func() {},
		dial: func(ctx context.Context, _ *logs.Logger) (*xenstore.Client, error) {
			return xenstore.Dial(ctx, xenstore.WithConn(srv.Pipe(self)))
		},
	}
}

func newDevdStore(t *testing.T, self abi.DomID) *server.Server {
	srv := server.New(server.Options{})
	t.Cleanup(func() { srv.Close() })
	c, err := xenstore.Dial(t.Context(), xenstore.WithConn(srv.Pipe(0)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	path := fmt.Sprintf("/local/domain/%d", self)
	if err := c.Write(t.Context(), path+"/domid", fmt.Sprint(self)); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, path + "/domid"} {
		perms, err := c.Perms(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		perms[0].Dom = self
		if err := c.SetPerms(t.Context(), p, perms); err != nil {
			t.Fatal(err)
		}
	}
	return srv
}

// TestDevd runs the daemon, with a second one beside it, until it is told to end.
func TestDevd(t *testing.T) {
	srv := newDevdStore(t, 3)
	d := newDevd(t, srv, 3)
	d.pidFile = filepath.Join(t.TempDir(), "pid")
	if err := os.WriteFile(d.pidFile, []byte("4294967295\n"), 0o600); err != nil { // of a daemon that was killed
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ready, done := make(chan struct{}), make(chan error, 1)
	d.ready = func() { close(ready) }
	go func() { done <- d.run(ctx) }()
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	case <-time.After(10 * time.Second):
		t.Fatal("not ready")
	}
	b, err := os.ReadFile(d.pidFile)
	if want := fmt.Sprintf("%d\n", os.Getpid()); err != nil || string(b) != want {
		t.Errorf("pid file: %q, %v; want %q", b, err, want)
	}
	if fi, err := os.Stat(d.pidFile); err != nil || fi.Mode() != 0o600 {
		t.Errorf("pid file: %v, %v", fi.Mode(), err)
	}
	second := newDevd(t, srv, 3)
	second.lock = d.lock
	if err := second.run(t.Context()); err == nil || !strings.Contains(err.Error(), "another xl devd") {
		t.Errorf("a second daemon: %v", err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(d.pidFile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pid file stays: %v", err)
	}
}

func TestDevdIsNotForDomain0(t *testing.T) {
	d := newDevd(t, newDevdStore(t, 0), 0)
	if err := d.run(t.Context()); !errors.Is(err, devd.ErrToolstack) {
		t.Error(err)
	}
	if _, err := os.Stat(d.lock); err == nil {
		t.Error("it took the lock")
	}
}

func TestDevdOptions(t *testing.T) {
	for _, tt := range []struct {
		line, out, err string
		status         int
	}{
		{"devd -x", "", "option `x' not supported.\n", 2},
		{"devd -p", "", "option `p' not supported.\n", 2},
		{"devd --pidfil", "", "option `p' not supported.\n", 2},
		{"-N devd", "", "command does not implement -N (dryrun) option\n", 1},
		{"devd --help", "Usage: xl [-vtTf] devd [options]", "", 0},
	} {
		got := runOn(t, 17, strings.Fields(tt.line)...)
		got.out, _, _ = strings.Cut(got.out, "\n")
		if got.out != tt.out || got.err != tt.err || got.status != tt.status {
			t.Errorf("%s: %+v", tt.line, got)
		}
	}
}

// TestDevdNeedsNoHypercalls: a driver domain's kernel may refuse them.
func TestDevdNeedsNoHypercalls(t *testing.T) {
	for name, want := range map[string]bool{"devd": true, "dev": true, "de": false, "d": false, "destroy": false, "devd2": false, "list": false, "stream": true} {
		a := &app{env: surroundings{release: func() release { return 17 }}}
		if got := a.needsNoHost(name); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}

func TestTrustMissing(t *testing.T) {
	p := files.DefaultPaths()
	p.Scripts = t.TempDir()
	if err := os.WriteFile(filepath.Join(p.Scripts, "block"), []byte("#!/bin/sh\nexec /usr/local/sbin/my-disks\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	h := files.New(p)
	if err := trustMissing(h); err != nil {
		t.Fatal(err)
	}
	if _, ok := h.Known(filepath.Join(p.Scripts, "block")); ok {
		t.Error("an administrator's own script is not run")
	}
	if what, ok := h.Known(filepath.Join(p.Scripts, "vif-bridge")); !ok || !what.Bridge {
		t.Errorf("a script that is not there: %+v, %v", what, ok)
	}
}
