package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goxl/migrate"
	"goxl/xenctrl/abi"
)

// folder lists a directory.
func folder(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func newCheckpoint(t *testing.T, name, text string) *checkpoint {
	t.Helper()
	c, err := createCheckpoint(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c.writer(), text); err != nil {
		t.Fatal(err)
	}
	return c
}

func holds(t *testing.T, name, want string) {
	t.Helper()
	if got, err := os.ReadFile(name); err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v, want %q", name, got, err, want)
	}
}

func TestCheckpointAppearsWhole(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "web.saved")
	c := newCheckpoint(t, name, "first")
	if got := folder(t, dir); strings.Join(got, " ") != "web.saved.part" {
		t.Errorf("while it is written: %v", got)
	}
	if err := c.commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	holds(t, name, "first")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for what, ctx := range map[string]context.Context{"discarded": nil, "interrupted": ended} {
		c = newCheckpoint(t, name, "second")
		if ctx != nil {
			if err := c.commit(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: commit: %v", what, err)
			}
		}
		if err := c.discard(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		holds(t, name, "first")
		if got := folder(t, dir); len(got) != 1 {
			t.Errorf("%s: %v is left", what, got)
		}
	}
}

func TestCheckpointKeepsModeAndLink(t *testing.T) {
	dir := t.TempDir()
	name, link := filepath.Join(dir, "web.saved"), filepath.Join(dir, "link")
	if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("web.saved", link); err != nil {
		t.Fatal(err)
	}
	if err := newCheckpoint(t, link, "new").commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	holds(t, name, "new")
	fi, err := os.Lstat(link)
	if err != nil || fi.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", fi, err)
	}
	if fi, err = os.Stat(name); err != nil || fi.Mode() != 0o600 {
		t.Errorf("a file that others could not read has mode %v, %v", fi.Mode(), err)
	}
}

// TestCheckpointOfARemovedFile writes in place what has no name any more: what leads to
// it is left alone.
func TestCheckpointOfARemovedFile(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "stdout")
	if err := os.Symlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), link); err != nil {
		t.Fatal(err)
	}
	if err := newCheckpoint(t, link, "text").commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(f); string(got) != "text" || err != nil {
		t.Errorf("it holds %q, %v", got, err)
	}
	if fi, err := os.Lstat(link); err != nil || fi.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", fi, err)
	}
}

// TestCheckpointOfTwo has two write the same file: the second is refused while the
// first is at it, and what a killed one left is no hindrance.
func TestCheckpointOfTwo(t *testing.T) {
	name := filepath.Join(t.TempDir(), "web.saved")
	if err := os.WriteFile(name+".part", []byte("of one that was killed, and longer"), 0o644); err != nil {
		t.Fatal(err)
	}
	first := newCheckpoint(t, name, "first")
	if _, err := createCheckpoint(name); err == nil || !strings.Contains(err.Error(), "another xl is writing it") {
		t.Errorf("a second one: %v", err)
	}
	if err := first.commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	holds(t, name, "first")
	if err := newCheckpoint(t, name, "second").commit(t.Context()); err != nil {
		t.Error(err)
	}
	holds(t, name, "second")
}

// TestCheckpointIntoAPipe writes in place, and is not held up by a reader that does
// not read when it is interrupted.
func TestCheckpointIntoAPipe(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := os.OpenFile(name, os.O_RDWR, 0) // it does not wait for the other end
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithCancel(t.Context())
	c := newCheckpoint(t, name, "text")
	defer c.interruptedBy(ctx)()
	if short, err := c.shortOf(1 << 40); short != nil || err != nil {
		t.Errorf("a pipe has no room: %v, %v", short, err)
	}
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := c.writer().Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write into a full pipe: %v", err)
	}
	if err := c.discard(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(name); err != nil {
		t.Errorf("the pipe is gone: %v", err)
	}
}

func TestShortage(t *testing.T) {
	if err := shortage("f", 517<<10, 512<<10); err != nil {
		t.Errorf("517 MiB for 512: %v", err)
	}
	const want = "/a.part: 100 MiB are free on that file system, and the guest needs up to 517 MiB"
	if err := shortage("/a.part", 100<<10, 512<<10); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	c := newCheckpoint(t, filepath.Join(t.TempDir(), "f"), "")
	defer c.discard()
	if short, err := c.shortOf(1 << 50); short == nil || err != nil {
		t.Errorf("a guest of 2^60 bytes: %v, %v", short, err)
	}
}

func TestSavingText(t *testing.T) {
	for want, p := range map[string]migrate.Progress{
		"  0 % of 512 MiB, 0 MiB/s":             {Total: 512 << 8},
		" 25 % of 512 MiB, 64 MiB/s, 6 s left":  {Total: 512 << 8, Done: 128 << 8, Bytes: 128 << 20},
		" 99 % of 512 MiB, 16 MiB/s, 0 ms left": {Total: 512 << 8, Done: 512<<8 - 1, Bytes: 32 << 20}, // mostly zeroes
		"100 % of 512 MiB, 256 MiB/s":           {Total: 512 << 8, Done: 512 << 8, Bytes: 512 << 20},
	} {
		if got := savingText(p, 2*time.Second); got != want {
			t.Errorf("%+v: %q, want %q", p, got, want)
		}
	}
}

func TestRestoringText(t *testing.T) {
	for _, tt := range []struct {
		n, size int64
		want    string
	}{
		{0, 512 << 20, "0 MiB read, 0 MiB/s"},
		{64 << 20, 0, "64 MiB read, 32 MiB/s"}, // a pipe
		{128 << 20, 512 << 20, " 25 % of 512 MiB read, 64 MiB/s, 6 s left"},
		{600 << 20, 512 << 20, "100 % of 512 MiB read, 300 MiB/s, 0 ms left"}, // it grew
	} {
		if got := restoringText(tt.n, tt.size, 2*time.Second); got != tt.want {
			t.Errorf("%d of %d: %q, want %q", tt.n, tt.size, got, tt.want)
		}
	}
}

// TestProgressOnATerminal has the line painted over itself, and left standing in the
// end. What is no terminal gets nothing.
func TestProgressOnATerminal(t *testing.T) {
	var out strings.Builder
	line := &progressLine{w: &out, start: time.Now()}
	line.saving(migrate.Progress{Total: 256, Done: 128, Bytes: 1})
	line.saving(migrate.Progress{Total: 256, Done: 200, Bytes: 1}) // too soon after the other
	line.end()
	line.end()
	if got := out.String(); !strings.HasPrefix(got, "\r\x1b[K 50 % of 1 MiB, ") || strings.Count(got, "\n") != 1 || strings.Contains(got, "78 %") {
		t.Errorf("%q", got)
	}
	none := &progressLine{start: time.Now()}
	none.saving(migrate.Progress{Total: abi.Pages(1), Done: 1})
	none.end()
}
