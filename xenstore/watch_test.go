package xenstore_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goxl/xenstore"
	"goxl/xenstore/wire"
)

func TestWatchOrder(t *testing.T) {
	_, c := newStore(t)
	ctx := testContext(t)
	must(t, c.Mkdir(ctx, "/d"))
	w, err := c.Watch(ctx, "/d", xenstore.Token("mine"))
	must(t, err)
	defer w.Close()
	must(t, c.Write(ctx, "/d/a", "1"))
	must(t, c.Write(ctx, "/d/b/c", "1"))
	must(t, c.SetPerms(ctx, "/d/a", []wire.Perm{{Dom: 0}}))
	must(t, c.Update(ctx, func(tx *xenstore.Tx) error {
		return errors.Join(tx.Write(ctx, "/d/x", ""), tx.Write(ctx, "/d/a", "2"), tx.Write(ctx, "/d/x", "2"))
	}))
	must(t, c.Write(ctx, "/dd", "outside"))
	must(t, c.Rm(ctx, "/d"))
	var got []string
	for _, want := range []string{"/d", "/d/a", "/d/b/c", "/d/a", "/d/x", "/d/a", "/d"} {
		e := next(t, w)
		if e.Token != "mine" {
			t.Errorf("token %q", e.Token)
		}
		got = append(got, e.Path)
		if e.Path != want {
			t.Fatalf("events %v, want next %s", got, want)
		}
	}
}

// What is below a removed node is told its own path only.
func TestWatchBelowRemoved(t *testing.T) {
	_, c := newStore(t)
	ctx := testContext(t)
	must(t, c.Write(ctx, "/d/a/b", ""))
	w, err := c.Watch(ctx, "/d/a/b")
	must(t, err)
	defer w.Close()
	next(t, w)
	must(t, c.Rm(ctx, "/d"))
	if e := next(t, w); e.Path != "/d/a/b" {
		t.Errorf("event %+v", e)
	}
}

func TestWatchSpecial(t *testing.T) {
	srv, c := newStore(t)
	ctx := testContext(t)
	in, err := c.Watch(ctx, "@introduceDomain")
	must(t, err)
	out, err := c.Watch(ctx, "@releaseDomain")
	must(t, err)
	next(t, in)
	next(t, out)
	must(t, c.Introduce(ctx, 9, 1, 1))
	next(t, in)
	srv.Shutdown(9)
	next(t, out)
	srv.Destroy(9)
	next(t, out)
}

func TestWatchOverflow(t *testing.T) {
	_, c := newStore(t)
	ctx := testContext(t)
	w, err := c.Watch(ctx, "/d", xenstore.Limit(10))
	must(t, err)
	fine, err := c.Watch(ctx, "/d", xenstore.Merge(), xenstore.Limit(10))
	must(t, err)
	for range 30 {
		must(t, c.Write(ctx, "/d", ""))
	}
	n := 0
	for range w.Events() {
		n++
	}
	if n < 10 || n > 11 || !errors.Is(w.Err(), xenstore.ErrOverflow) {
		t.Errorf("%d events, then %v, want 10 or 11, then ErrOverflow", n, w.Err())
	}
	if next(t, fine); fine.Err() != nil {
		t.Errorf("merging watch: %v", fine.Err())
	}
}

// The last change is always followed by an event.
func TestMergeLosesNothing(t *testing.T) {
	_, c := newStore(t)
	ctx := testContext(t)
	w, err := c.Watch(ctx, "/d", xenstore.Merge(), xenstore.Limit(3))
	must(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 500 {
			must(t, c.Write(ctx, "/d", fmt.Sprint(i)))
		}
	})
	for v := ""; v != "499"; {
		next(t, w)
		v, _ = c.Read(ctx, "/d")
	}
	wg.Wait()
	w.Close()
	w.Close()
	if _, ok := <-w.Events(); ok || w.Err() != nil {
		t.Errorf("after Close: %v, %v", ok, w.Err())
	}
}

// A reader that never reads holds up neither requests nor other watches.
func TestSlowReaderBlocksNobody(t *testing.T) {
	_, c := newStore(t)
	ctx := testContext(t)
	slow, err := c.Watch(ctx, "/")
	must(t, err)
	defer slow.Close()
	w, err := c.Watch(ctx, "/d")
	must(t, err)
	next(t, w)
	for range 1000 {
		must(t, c.Write(ctx, "/d", ""))
		next(t, w)
	}
}

func TestReconnect(t *testing.T) {
	reports := make(chan error, 10)
	srv, c := newStore(t, xenstore.WithReconnect(func(err error) { reports <- err }))
	ctx := testContext(t)
	w, err := c.Watch(ctx, "/d")
	must(t, err)
	next(t, w)
	srv.Disconnect()
	if err := <-reports; !errors.Is(err, xenstore.ErrLost) {
		t.Errorf("reported %v, want ErrLost", err)
	}
	must(t, <-reports)
	if d := cmp.Diff(xenstore.Event{Path: "/d", Token: "/d", Restarted: true}, next(t, w)); d != "" {
		t.Error(d)
	}
	next(t, w) // the store's own first event
	must(t, c.Write(ctx, "/d/x", ""))
	if e := next(t, w); e.Path != "/d/x" {
		t.Errorf("event %+v", e)
	}
}

func TestUpdateSurvivesReconnect(t *testing.T) {
	srv, c := newStore(t, xenstore.WithReconnect(nil))
	ctx := testContext(t)
	tries := 0
	must(t, c.Update(ctx, func(tx *xenstore.Tx) error {
		if tries++; tries == 1 {
			srv.Disconnect()
		}
		return tx.Write(ctx, "/n", "1")
	}))
	if tries != 2 {
		t.Errorf("%d tries, want 2", tries)
	}
}

func TestLostWithoutReconnect(t *testing.T) {
	srv, c := newStore(t)
	ctx := testContext(t)
	w, err := c.Watch(ctx, "/d")
	must(t, err)
	srv.Disconnect()
	for range w.Events() {
	}
	if !errors.Is(w.Err(), xenstore.ErrLost) {
		t.Errorf("watch ended with %v, want ErrLost", w.Err())
	}
	if _, err := c.Read(ctx, "/"); !errors.Is(err, xenstore.ErrLost) {
		t.Errorf("Read: %v, want ErrLost", err)
	}
}

func TestAwait(t *testing.T) {
	_, c := newStore(t)
	ctx := testContext(t)
	time.AfterFunc(10*time.Millisecond, func() {
		c.Write(ctx, "/d/state", "2")
		c.Write(ctx, "/d/state", "4")
	})
	v, err := c.Await(ctx, "/d/state", func(v string, exists bool) bool { return exists && v == "4" })
	if v != "4" || err != nil {
		t.Errorf("Await = %q, %v", v, err)
	}
}

// Events of several paths on one watch keep the store's order.
func TestWatchSeveralPaths(t *testing.T) {
	_, c := newStore(t)
	ctx := testContext(t)
	w, err := c.Watch(ctx, "/a")
	must(t, err)
	defer w.Close()
	must(t, w.Add(ctx, "/b", xenstore.Token("b")))
	next(t, w)
	next(t, w)
	for range 20 {
		must(t, c.Write(ctx, "/b", ""))
		must(t, c.Write(ctx, "/a", ""))
		if e := next(t, w); e.Token != "b" {
			t.Fatalf("event %+v, want /b first", e)
		}
		next(t, w)
	}
	w.Close()
	if err := w.Add(ctx, "/c"); !errors.Is(err, xenstore.ErrClosed) {
		t.Errorf("Add to a closed watch: %v", err)
	}
}
