package evtchn_test

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goxl/xenctrl/evtchn"
	"goxl/xenctrl/xentest"
)

func open(t *testing.T) *evtchn.Conn {
	t.Helper()
	xentest.NeedXen(t)
	c, err := evtchn.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// pair connects a port of a to a port of b, within this domain.
func pair(t *testing.T, a, b *evtchn.Conn) (pa, pb evtchn.Port) {
	t.Helper()
	pa, err := a.BindUnbound(0)
	if err != nil {
		t.Fatal(err)
	}
	pb, err = b.BindInterdomain(0, pa)
	if err != nil {
		t.Fatal(err)
	}
	return pa, pb
}

// wait expects an event on port want within a few seconds.
func wait(t *testing.T, c *evtchn.Conn, want evtchn.Port) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	p, err := c.Wait(ctx)
	if err != nil || p != want {
		t.Fatalf("Wait() = %d, %v; want port %d", p, err, want)
	}
}

// silent expects no event for a moment.
func silent(t *testing.T, c *evtchn.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if p, err := c.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Wait() = %d, %v; want no event", p, err)
	}
}

func TestLabNotify(t *testing.T) {
	a, b := open(t), open(t)
	pa, pb := pair(t, a, b)
	wait(t, b, pb) // whoever binds gets an event: one may have been sent before
	if err := b.Unmask(pb); err != nil {
		t.Fatal(err)
	}
	silent(t, b)
	silent(t, a)
	if err := b.Notify(pb); err != nil {
		t.Fatal(err)
	}
	wait(t, a, pa)
	if err := b.Notify(pb); err != nil {
		t.Fatal(err)
	}
	silent(t, a) // masked until
	if err := a.Unmask(pa); err != nil {
		t.Fatal(err)
	}
	wait(t, a, pa)
}

func TestLabSeveralPorts(t *testing.T) {
	a, b := open(t), open(t)
	want := map[evtchn.Port]bool{}
	for range 3 {
		pa, pb := pair(t, a, b)
		want[pa] = true
		if err := b.Notify(pb); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for len(want) > 0 {
		p, err := a.Wait(ctx)
		if err != nil || !want[p] {
			t.Fatalf("Wait() = %d, %v; left are %v", p, err, want)
		}
		delete(want, p)
	}
	if err := b.Unbind(4095); !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTCONN) {
		t.Errorf("Unbind of a port we do not have = %v", err)
	}
}

func TestLabVIRQHeld(t *testing.T) {
	c := open(t)
	if _, err := c.BindVIRQ(evtchn.VIRQDomExc); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("BindVIRQ(DOM_EXC) = %v, want EEXIST: xenstored has it", err)
	}
}

func TestLabCloseEndsWait(t *testing.T) {
	c := open(t)
	done := make(chan error)
	go func() {
		_, err := c.Wait(context.Background())
		done <- err
	}()
	time.Sleep(100 * time.Millisecond)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("Wait() = %v, want os.ErrClosed", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Close did not end Wait")
	}
}

func TestLabPolled(t *testing.T) {
	a := open(t)
	pa, err := a.BindUnbound(0)
	if err != nil {
		t.Fatal(err)
	}
	b, err := evtchn.OpenPolled()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	pb, err := b.BindInterdomain(0, pa)
	if err != nil {
		t.Fatal(err)
	}
	take := func(want bool) {
		t.Helper()
		limit := 300 * time.Millisecond
		if want {
			limit = 20 * time.Second
		}
		fds := []unix.PollFd{{Fd: int32(b.FD()), Events: unix.POLLIN}}
		_, _ = unix.Poll(fds, int(limit.Milliseconds())) // a signal may end it: Take tells
		for end := time.Now().Add(limit); want && fds[0].Revents == 0 && time.Now().Before(end); {
			_, _ = unix.Poll(fds, 100)
		}
		if p, ok, err := b.Take(); ok != want || err != nil || ok && p != pb {
			t.Fatalf("Take() = %d, %v, %v; want %d, %v", p, ok, err, pb, want)
		}
	}
	take(true) // whoever binds gets an event
	if err := a.Notify(pa); err != nil {
		t.Fatal(err)
	}
	take(false) // silent until it is unmasked
	if err := b.Unmask(pb); err != nil {
		t.Fatal(err)
	}
	take(true)
	if err := b.Notify(pb); err != nil {
		t.Fatal(err)
	}
	wait(t, a, pa)
	if _, err := b.BindInterdomain(0, 100000); err == nil {
		t.Error("a port that nobody has made is bound")
	}
}
