package xenstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"goxl/xenstore"
	"goxl/xenstore/server"
)

// expected reports whether err is one that a caller must live with while
// connections break and contexts end.
func expected(err error) bool {
	for _, e := range []error{nil, xenstore.ErrLost, xenstore.ErrConflict, context.DeadlineExceeded, context.Canceled, xenstore.ErrNotFound} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// TestStorm uses a client in every way at once, with short contexts, while its
// connection breaks again and again. Nothing may hang, leak or mix up replies.
func TestStorm(t *testing.T) {
	before := runtime.NumGoroutine()
	srv := server.New(server.Options{})
	c := dial(t, srv, 0, xenstore.WithReconnect(nil))
	ctx := testContext(t)
	deadline := time.Now().Add(500 * time.Millisecond)
	var wg sync.WaitGroup
	worker := func(f func(ctx context.Context, path, value string) error) {
		for g := range 3 {
			wg.Go(func() {
				for i := 0; time.Now().Before(deadline); i++ {
					short, cancel := context.WithTimeout(ctx, rand.N(3*time.Millisecond))
					if err := f(short, fmt.Sprintf("/storm/%d", g), fmt.Sprint(i)); !expected(err) {
						t.Error(err)
					}
					cancel()
				}
			})
		}
	}
	worker(func(ctx context.Context, path, value string) error {
		if err := c.Write(ctx, path, path+value); err != nil {
			return err
		}
		v, err := c.Read(ctx, path)
		if err == nil && len(v) < len(path) {
			err = fmt.Errorf("read %q", v)
		}
		return err
	})
	worker(func(ctx context.Context, path, value string) error {
		return c.Update(ctx, func(tx *xenstore.Tx) error {
			var b xenstore.Batch
			b.Write(path+"/x", value)
			b.Rm(path + "/x")
			return tx.Send(ctx, &b)
		})
	})
	worker(func(ctx context.Context, path, value string) error {
		w, err := c.Watch(ctx, path, xenstore.Merge())
		if err != nil {
			return err
		}
		select {
		case e := <-w.Events():
			if e.Token != path {
				err = fmt.Errorf("event %+v on %s", e, path)
			}
		case <-ctx.Done():
		}
		return errors.Join(err, w.Close())
	})
	for time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
		srv.Disconnect()
	}
	wg.Wait()
	w, err := c.Watch(ctx, "/storm/after") // all is well again
	must(t, err)
	next(t, w)
	c.Close()
	srv.Close()
	for i := 0; runtime.NumGoroutine() > before && i < 100; i++ {
		time.Sleep(10 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines, %d before:\n%s", n, before, buf[:runtime.Stack(buf, true)])
	}
}
