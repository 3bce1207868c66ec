package dm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goxl/domains/device"
	"goxl/domains/host"
	"goxl/xenstore"
	"goxl/xenstore/server"
)

// fakeModels returns models whose QEMU is a script that only sleeps, in a store
// with guest 5. QEMU's part in xenstore and at its socket is played by the test.
func fakeModels(t *testing.T, script string) (*Models, Config) {
	dir := t.TempDir()
	srv := server.New(server.Options{})
	store, err := xenstore.Dial(t.Context(), xenstore.WithConn(srv.Pipe(0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close(); srv.Close() })
	p := host.DefaultPaths()
	p.Run, p.Lib, p.Log = dir, dir, dir
	bin := filepath.Join(dir, "qemu")
	if err := os.WriteFile(bin, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := store.Write(t.Context(), "/local/domain/5/vm", "/vm/u"); err != nil {
		t.Fatal(err)
	}
	m := New(Options{Store: store, Host: host.New(p), StartTimeout: 2 * time.Second, QMPTimeout: time.Second})
	return m, Config{Dom: 5, Name: "g", MaxMem: 1000, Binary: bin, VFB: &device.VFB{VNC: device.VNC{Password: "sec"}}}
}

// play does what QEMU does when it is ready.
func play(t *testing.T, m *Models, answers map[string]string) {
	l, err := net.Listen("unix", qmpPath(m.Host.Run, 5))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fakeQEMU(c, answers)
		}
	}()
	go func() {
		ctx := context.WithoutCancel(t.Context())
		if _, err := m.Store.Await(ctx, pidPath(5), func(_ string, ok bool) bool { return ok }); err == nil {
			m.Store.Write(ctx, statePath(5, "state"), "running")
		}
	}()
}

// awaitLog waits until a file, which a program writes in its own time, says want.
func awaitLog(t *testing.T, file, want string) {
	t.Helper()
	var b []byte
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if b, _ = os.ReadFile(file); string(b) == want {
			return
		}
	}
	t.Errorf("%s says %q, want %q", file, b, want)
}

func TestStartAndStop(t *testing.T) {
	m, c := fakeModels(t, "echo started; exec sleep 60")
	c.Extra = []string{"-ignored"}
	play(t, m, map[string]string{
		"query-chardev": `{"return": [], "id": ID}`,
		"query-vnc":     `{"return": {"enabled": true, "host": "127.0.0.1", "service": "5901"}, "id": ID}`,
	})
	if err := m.Start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/local/domain/5/console/vnc-listen": "127.0.0.1",
		"/local/domain/5/console/vnc-port":   "5901",
		"/local/domain/5/console/vnc-pass":   "sec",
		"/vm/u/vncpasswd":                    "sec",
	} {
		if v, err := m.Store.Read(t.Context(), path); v != want || err != nil {
			t.Errorf("%s is %q, %v", path, v, err)
		}
	}
	awaitLog(t, filepath.Join(m.Host.Log, "qemu-dm-g.log"), "started\n")
	if on, err := m.Running(t.Context(), 5); !on || err != nil {
		t.Errorf("running: %v, %v", on, err)
	}
	pid, err := m.Store.Read(t.Context(), pidPath(5))
	if err != nil {
		t.Fatal(err)
	}
	// The script is "sleep 60" by now, so its command line names no guest.
	if m.isModel(os.Getpid(), 5) {
		t.Error("the test is taken for a device model")
	}
	if err := m.Stop(t.Context(), 5); err != nil {
		t.Error(err)
	}
	if _, err := m.Store.Read(t.Context(), statePath(5, "state")); !errors.Is(err, xenstore.ErrNotFound) {
		t.Errorf("state after stop: %v", err)
	}
	if _, err := os.Stat(qmpPath(m.Host.Run, 5)); err == nil {
		t.Error("the socket is left")
	}
	if err := m.Stop(t.Context(), 6); err != nil {
		t.Errorf("stop of a guest without model: %v", err)
	}
	var n int
	fmt.Sscan(pid, &n)
	m.killNow(n)
}

func TestStopKillsTheModel(t *testing.T) {
	m, _ := fakeModels(t, `sleep 5; :`) // a shell that keeps its arguments
	log, err := m.Host.OpenLog("x")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p, err := startProcess(m.Host, filepath.Join(m.Host.Run, "qemu"), []string{"-xen-domid", "5"}, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	p.onExit(func(err error) { ended <- err })
	if err := m.Store.Write(t.Context(), pidPath(5), fmt.Sprint(p.pid)); err != nil {
		t.Fatal(err)
	}
	if err := m.Stop(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !strings.Contains(err.Error(), "hangup") {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the process lives on")
		m.killNow(p.pid)
	}
}

func TestStartFailures(t *testing.T) {
	for _, tt := range []struct{ name, script, says string }{
		{"ends at once", "exit 3", "ended before it was ready: exit status 3"},
		{"never ready", "sleep 5; :", "not ready after"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, c := fakeModels(t, tt.script)
			m.StartTimeout = 300 * time.Millisecond
			err := m.Start(t.Context(), c)
			if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "qemu-dm-g.log") {
				t.Errorf("error %v, want %q", err, tt.says)
			}
			if _, err := m.Store.Read(t.Context(), statePath(5, "")); !errors.Is(err, xenstore.ErrNotFound) {
				t.Errorf("nodes are left: %v", err)
			}
		})
	}
	m, c := fakeModels(t, "")
	c.Binary = "/does/not/exist"
	if err := m.Start(t.Context(), c); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing QEMU: %v", err)
	}
}
