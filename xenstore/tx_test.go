package xenstore_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"goxl/xenctrl/abi"
	"goxl/xenstore"
	"goxl/xenstore/server"
)

func TestUpdateIsAtomic(t *testing.T) {
	srv, c := newStore(t, xenstore.WithRetries(10000))
	ctx := testContext(t)
	must(t, c.Write(ctx, "/n", "0"))
	var wg sync.WaitGroup
	const writers, each = 8, 25
	for range writers {
		mine := dial(t, srv, 0, xenstore.WithRetries(10000))
		wg.Go(func() {
			for range each {
				if err := mine.Update(ctx, func(tx *xenstore.Tx) error {
					v, err := tx.Read(ctx, "/n")
					if err != nil {
						return err
					}
					n, _ := strconv.Atoi(v)
					return tx.Write(ctx, "/n", strconv.Itoa(n+1))
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if v, err := c.Read(ctx, "/n"); v != strconv.Itoa(writers*each) || err != nil {
		t.Errorf("counted to %s, %v, want %d", v, err, writers*each)
	}
}

func TestUpdatesTakeTurns(t *testing.T) {
	var turn sync.Mutex
	turns := xenstore.WithTurns(func(context.Context) func() { turn.Lock(); return turn.Unlock })
	srv, _ := newStore(t)
	ctx := testContext(t)
	var tries atomic.Int32
	var wg sync.WaitGroup
	const writers, each = 8, 5
	for i := range writers {
		mine := dial(t, srv, 0, turns)
		wg.Go(func() {
			for range each {
				if err := mine.Update(ctx, func(tx *xenstore.Tx) error {
					tries.Add(1)
					_, err := tx.Read(ctx, "/n")
					if err != nil && !errors.Is(err, xenstore.ErrNotFound) {
						return err
					}
					return tx.Write(ctx, "/n", strconv.Itoa(i))
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := tries.Load(); n != writers*each {
		t.Errorf("%d tries for %d transactions in turn", n, writers*each)
	}
}

func TestUpdateGivesUp(t *testing.T) {
	srv, c := newStore(t, xenstore.WithRetries(3))
	other := dial(t, srv, 0)
	ctx := testContext(t)
	tries := 0
	err := c.Update(ctx, func(tx *xenstore.Tx) error {
		tries++
		tx.Read(ctx, "/n")
		must(t, other.Write(ctx, "/n", strconv.Itoa(tries)))
		return tx.Write(ctx, "/n", "mine")
	})
	if !errors.Is(err, xenstore.ErrConflict) || tries != 3 {
		t.Errorf("%v after %d tries, want ErrConflict after 3", err, tries)
	}
}

func TestFailedUpdateChangesNothing(t *testing.T) {
	srv, c := newStore(t)
	ctx := testContext(t)
	boom := errors.New("boom")
	if err := c.Update(ctx, func(tx *xenstore.Tx) error {
		must(t, tx.Write(ctx, "/n", "1"))
		return boom
	}); err != boom {
		t.Errorf("Update = %v, want the function's error", err)
	}
	if _, ok := srv.Dump()["/n"]; ok {
		t.Error("the write is visible")
	}
}

func TestTxAfterItsEnd(t *testing.T) {
	_, c := newStore(t)
	ctx := testContext(t)
	tx, err := c.Begin(ctx)
	must(t, err)
	must(t, tx.Commit(ctx))
	tx.Abort()
	for _, err := range []error{tx.Write(ctx, "/n", ""), tx.Commit(ctx), tx.Send(ctx, batchOf("/n"))} {
		if !errors.Is(err, xenstore.ErrTxDone) {
			t.Errorf("%v, want ErrTxDone", err)
		}
	}
}

func batchOf(paths ...string) *xenstore.Batch {
	var b xenstore.Batch
	for _, p := range paths {
		b.Write(p, "")
	}
	return &b
}

// A guest may have few transactions open: if abandoned ones stayed, this fails.
func TestAbandonedTransactionsEnd(t *testing.T) {
	srv := server.New(server.Options{Quota: server.Quota{Transactions: 2}})
	defer srv.Close()
	c := dial(t, srv, abi.DomID(3))
	ctx := testContext(t)
	for range 100 {
		short, cancel := context.WithCancel(ctx)
		go cancel()
		tx, err := c.Begin(short)
		if err == nil {
			if errors.Is(tx.Commit(short), context.Canceled) {
				tx.Abort()
			}
		} else if !errors.Is(err, context.Canceled) && !errors.Is(err, xenstore.ErrQuota) {
			t.Fatal(err)
		}
		cancel()
	}
	for { // the ends of the last ones are on their way
		tx, err := c.Begin(ctx)
		if err == nil {
			must(t, tx.Commit(ctx))
			return
		}
		if !errors.Is(err, xenstore.ErrQuota) {
			t.Fatal(err)
		}
	}
}

func TestBatch(t *testing.T) {
	_, c := newStore(t)
	ctx := testContext(t)
	var b xenstore.Batch
	for i := range 300 {
		b.Write("/b/"+strconv.Itoa(i), strconv.Itoa(i))
	}
	last, none := b.Read("/b/299"), b.Read("/none")
	list := b.List("/")
	must(t, c.Send(ctx, &b))
	if v, err := last.Value(); v != "299" || err != nil {
		t.Errorf("read in the batch: %q, %v", v, err)
	}
	if _, err := none.Value(); !errors.Is(err, xenstore.ErrNotFound) {
		t.Errorf("read of nothing in the batch: %v", err)
	}
	if names, err := list.Names(); len(names) != 2 || err != nil {
		t.Errorf("list in the batch: %v, %v", names, err)
	}
	b = xenstore.Batch{}
	b.Write("/first", "")
	b.Rm("/none/below")
	b.Write("/last", "")
	if err := c.Send(ctx, &b); !errors.Is(err, xenstore.ErrNotFound) {
		t.Errorf("batch with a failure: %v", err)
	}
	if ok, err := c.Exists(ctx, "/last"); !ok || err != nil {
		t.Errorf("what follows a failure: %v, %v", ok, err)
	}
}
