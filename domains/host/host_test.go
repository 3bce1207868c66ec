package host_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goxl/domains/host"
)

// testHost returns a host whose shared files are in a directory of the test.
func testHost(t *testing.T) *host.Host {
	dir := t.TempDir()
	p := host.DefaultPaths()
	p.Run, p.Lib, p.Log, p.Scripts = dir, dir, dir, dir
	p.Hotplug, p.XLLock = filepath.Join(dir, "hotplug"), filepath.Join(dir, "xl")
	return host.New(p)
}

func TestLockExcludesAndIsRemoved(t *testing.T) {
	h := testHost(t)
	path := filepath.Join(h.Lib, "l")
	first, err := h.Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := h.Lock(short, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("second lock: %v, want the deadline", err)
	}
	got := make(chan error)
	go func() {
		second, err := h.Lock(t.Context(), path)
		if err == nil {
			err = second.Unlock()
		}
		got <- err
	}()
	if err := first.Unlock(); err != nil {
		t.Error(err)
	}
	if err := first.Unlock(); err != nil {
		t.Errorf("second unlock: %v", err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the lock file is left behind")
	}
}

// Who gives up waiting for a lock gets it some time later all the same, as the kernel
// will have it, and must then give it back and leave no file.
func TestCancelledLock(t *testing.T) {
	h := testHost(t)
	path := filepath.Join(h.Lib, "l")
	first, err := h.Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error)
	go func() {
		_, err := h.Lock(ctx, path)
		got <- err
	}()
	time.Sleep(20 * time.Millisecond) // it waits now, most likely
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("the second: %v", err)
	}
	if _, err := h.Lock(ctx, filepath.Join(h.Lib, "other")); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
	// The holder leaves its file, so that the waiting call locks this very one.
	if err := first.Leave(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the lock file is left")
		}
	}
	if files, _ := filepath.Glob(filepath.Join(h.Lib, "*")); len(files) != 0 {
		t.Errorf("files %v are left", files)
	}
	short, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	third, err := h.Lock(short, path)
	if err != nil {
		t.Fatalf("the lock is held by nobody, and: %v", err)
	}
	if err := third.Unlock(); err != nil {
		t.Error(err)
	}
}

func TestLockXL(t *testing.T) {
	h := testHost(t)
	l, err := h.LockXL(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Unlock(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(h.XLLock); err != nil {
		t.Error("xl's lock file stays:", err)
	}
}

func TestOpenLogRotates(t *testing.T) {
	h := testHost(t)
	for i := range 13 {
		f, err := h.OpenLog("qemu-dm-x")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(string(rune('a' + i))); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	var got []string
	for _, suffix := range []string{"", ".1", ".2", ".10", ".11"} {
		b, err := os.ReadFile(filepath.Join(h.Log, "qemu-dm-x.log"+suffix))
		if err != nil {
			b = []byte("-")
		}
		got = append(got, string(b))
	}
	if s := strings.Join(got, " "); s != "m l k c -" {
		t.Errorf("logs hold %q", s)
	}
	if _, err := h.OpenLog("../x"); err == nil {
		t.Error("a path was taken for a name")
	}
}

func TestDomIDHistory(t *testing.T) {
	h := testHost(t)
	path := filepath.Join(h.Run, "domid-history")
	if err := os.WriteFile(path, []byte("0 3\nnonsense 4\n99999999999 5\n1 x\n0 70000\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := h.MarkRecent(t.Context(), 7, 0); err != nil {
		t.Fatal(err)
	}
	for dom, want := range map[host.DomID]bool{3: false, 5: false, 7: true} {
		got, err := h.IsRecent(dom, host.DomIDReuse)
		if err != nil || got != want {
			t.Errorf("IsRecent(%d) = %v, %v, want %v", dom, got, err, want)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil || !strings.HasSuffix(string(b), " 7\n") || strings.Count(string(b), "\n") != 1 {
		t.Errorf("history is %q, %v", b, err)
	}
}

func script(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestScript(t *testing.T) {
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	s := host.Script{Path: script(t, `echo "$1 $2 $vif"; cat`), Args: []string{"online", "type_if=vif"}, Env: []string{"vif=vif1.0"}, Output: out}
	if err := host.New(host.Paths{}).RunScript(t.Context(), &s); err != nil {
		t.Error(err)
	}
	out.Seek(0, io.SeekStart)
	if b, _ := io.ReadAll(out); string(b) != "online type_if=vif vif1.0\n" {
		t.Errorf("output %q", b)
	}
	s = host.Script{Path: script(t, "exit 3"), Output: out}
	if err := host.New(host.Paths{}).RunScript(t.Context(), &s); !errors.Is(err, host.ErrScript) || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("failing script: %v", err)
	}
	s = host.Script{Path: "/does/not/exist", Output: out}
	if err := host.New(host.Paths{}).RunScript(t.Context(), &s); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing script: %v", err)
	}
}

func TestScriptTimeoutKillsItsChildren(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	s := host.Script{Path: script(t, "(sleep 1; touch "+mark+") & sleep 60"), Timeout: 100 * time.Millisecond}
	start := time.Now()
	err := host.New(host.Paths{}).RunScript(t.Context(), &s)
	if !errors.Is(err, host.ErrScript) || !strings.Contains(err.Error(), "not done after 100ms") {
		t.Errorf("error %v", err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
	time.Sleep(1200 * time.Millisecond)
	if _, err := os.Stat(mark); err == nil {
		t.Error("a child of the script survived")
	}
}

func TestKnownNeedsEveryFile(t *testing.T) {
	h := testHost(t)
	if err := os.WriteFile(filepath.Join(h.Scripts, "block"), []byte("#!/bin/bash\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if what, ok := h.Known(filepath.Join(h.Scripts, "block")); ok {
		t.Errorf("an unknown script is known as %+v", what)
	}
}
