package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"goxl/xenstore"
)

// safeBuffer collects what the console printed.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) wait(t *testing.T, want string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		got := s.b.String()
		s.mu.Unlock()
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("printed %q, want %q", got, want)
		}
	}
}

// console is a fake guest console on a real pty, and the attachment to it.
type console struct {
	a       attachment
	out     safeBuffer
	master  *os.File
	tty     chan string // what xenstore says, one answer per question
	changed chan xenstore.Event
	keys    *io.PipeWriter
	done    chan error
	warned  []string // of ptys that could not be opened; read it after done
}

func attachTest(t *testing.T) *console {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Skip("no pty:", err)
	}
	t.Cleanup(func() { master.Close(); slave.Close() })
	c := &console{master: master, tty: make(chan string, 4), changed: make(chan xenstore.Event, 4), done: make(chan error, 1)}
	in, keys := io.Pipe()
	c.keys = keys
	t.Cleanup(func() { keys.Close() })
	c.a = attachment{in: in, out: &c.out, escape: defaultEscape, changed: c.changed, open: openPTY,
		warn: func(path string, err error) { c.warned = append(c.warned, path) },
		tty:  func(context.Context) (string, error) { return <-c.tty, nil }}
	c.tty <- slave.Name()
	c.changed <- xenstore.Event{}
	return c
}

func (c *console) start(ctx context.Context) { go func() { c.done <- c.a.run(ctx) }() }

func (c *console) ended(t *testing.T) {
	t.Helper()
	select {
	case err := <-c.done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("still attached")
	}
}

func TestAttachBothWays(t *testing.T) {
	c := attachTest(t)
	ready := make(chan struct{})
	c.a.ready = func() { close(ready) }
	c.start(context.Background())
	<-ready
	c.master.Write([]byte("login: \r\n\x00"))
	c.out.wait(t, "login: \r\n\x00")
	c.keys.Write([]byte("root\r\x03"))
	got := make([]byte, 6)
	if _, err := io.ReadFull(c.master, got); err != nil || string(got) != "root\r\x03" {
		t.Errorf("the guest read %q, %v", got, err)
	}
	c.keys.Write([]byte("x\x1d")) // pasted: not an escape
	if _, err := io.ReadFull(c.master, got[:2]); err != nil || string(got[:2]) != "x\x1d" {
		t.Errorf("the guest read %q, %v", got[:2], err)
	}
	c.keys.Write([]byte{defaultEscape})
	c.ended(t)
}

func TestAttachEndsWithTheGuest(t *testing.T) {
	c := attachTest(t)
	c.start(context.Background())
	c.master.Write([]byte("bye"))
	c.out.wait(t, "bye")
	c.tty <- ""
	c.changed <- xenstore.Event{}
	c.ended(t)
}

// TestAttachShowsTheLastWords: what the guest printed as it went is there, although
// the news of its end came first.
func TestAttachShowsTheLastWords(t *testing.T) {
	for range 20 {
		c := attachTest(t)
		c.a.in = nil
		c.tty <- ""
		c.changed <- xenstore.Event{}
		c.master.Write([]byte("Kernel panic"))
		c.start(context.Background())
		c.ended(t)
		c.out.wait(t, "Kernel panic")
	}
}

// TestAttachToAStalePTY: xenstore still names the pty of a daemon that was killed.
func TestAttachToAStalePTY(t *testing.T) {
	c := attachTest(t)
	c.a.in = nil
	good := <-c.tty
	c.tty <- "/dev/pts/no-such"
	c.tty <- good
	c.changed <- xenstore.Event{}
	c.start(context.Background())
	c.master.Write([]byte("here"))
	c.out.wait(t, "here")
	c.tty <- ""
	c.changed <- xenstore.Event{}
	c.ended(t)
	if len(c.warned) != 1 || c.warned[0] != "/dev/pts/no-such" {
		t.Errorf("warned of %q", c.warned)
	}
}

func TestAttachFollowsANewPTY(t *testing.T) {
	c := attachTest(t)
	c.start(context.Background())
	c.master.Write([]byte("one "))
	c.out.wait(t, "one ")
	second, slave, err := pty.Open()
	if err != nil {
		t.Skip(err)
	}
	defer second.Close()
	defer slave.Close()
	c.tty <- slave.Name()
	c.changed <- xenstore.Event{}
	second.Write([]byte("two"))
	c.out.wait(t, "one two")
	c.keys.Close() // end of input ends it too
	c.ended(t)
}

func TestAttachStopsWithItsContext(t *testing.T) {
	c := attachTest(t)
	c.a.in = nil
	ctx, cancel := context.WithCancel(context.Background())
	c.start(ctx)
	c.master.Write([]byte("x"))
	c.out.wait(t, "x")
	cancel()
	c.ended(t)
}

func TestAttachWithoutAPTY(t *testing.T) {
	c := attachTest(t)
	<-c.tty
	c.tty <- ""
	close(c.changed)
	if err := c.a.run(context.Background()); err == nil {
		t.Error("attached to nothing")
	}
}

func TestConsoleLock(t *testing.T) {
	dir := t.TempDir()
	l, err := lockConsole(dir, 7)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lockConsole(dir, 7)
	var f *failure
	if !errors.As(err, &f) || f.status != 11 ||
		f.text != "xenconsole: Could not lock "+dir+"/xenconsole.7: Resource temporarily unavailable" {
		t.Errorf("second lock: %+v", err)
	}
	l.release()
	if l, err = lockConsole(dir, 7); err != nil {
		t.Fatal(err)
	}
	l.release()
	if _, err := os.Stat(dir + "/xenconsole.7"); !os.IsNotExist(err) {
		t.Error("the lock file stayed:", err)
	}
}
