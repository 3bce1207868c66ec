package xenstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"goxl/xenstore/wire"
)

// Tx is a transaction: it sees the store as it was when it began plus its own
// changes, which become visible to others together, or not at all. Its methods
// may be called concurrently. It ends with Commit or Abort, one of which must be
// called, and with its connection.
type Tx struct {
	commands
	sess *session
	id   uint32

	mu   sync.Mutex
	done bool
}

// Begin starts a transaction. Most callers want Update.
func (c *Client) Begin(ctx context.Context) (*Tx, error) {
	r := &request{op: wire.OpTransactionStart}
	s, err := c.session(ctx)
	if err != nil {
		return nil, r.fail(err)
	}
	b, err := s.roundTrip(ctx, r, func(b []byte, err error) {
		if id, perr := parseTxID(b); err == nil && perr == nil {
			s.post(endRequest(id, false))
		}
	})
	if err != nil {
		return nil, err
	}
	id, err := parseTxID(b)
	if err != nil {
		return nil, r.fail(err)
	}
	t := &Tx{sess: s, id: id}
	t.commands.target = t
	return t, nil
}

// Commit makes the transaction's changes visible. ErrConflict means that
// somebody else changed what it used, and that nothing was changed. When ctx ends
// first, it is unknown whether the transaction was committed.
func (t *Tx) Commit(ctx context.Context) error {
	r := endRequest(t.id, true)
	if !t.finish() {
		return r.fail(ErrTxDone)
	}
	if ctx.Err() != nil { // not sent, so it would stay open
		t.sess.post(endRequest(t.id, false))
		return r.fail(context.Cause(ctx))
	}
	_, err := t.sess.roundTrip(ctx, r, nil)
	return err
}

// Abort drops the transaction. It does not block and does nothing to one that
// has ended, so that it can be deferred.
func (t *Tx) Abort() {
	if t.finish() {
		t.sess.post(endRequest(t.id, false))
	}
}

// bind puts r into the transaction.
func (t *Tx) bind(_ context.Context, r *request) (*session, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done {
		return nil, ErrTxDone
	}
	r.tx = t.id
	return t.sess, nil
}

// finish reports whether the transaction was still open, and closes it.
func (t *Tx) finish() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.done
	t.done = true
	return !was
}

// Update runs fn in a transaction and commits it, and does so again, after a
// short random pause, when it met a conflict: fn must not have other effects
// that cannot be repeated. When fn fails the transaction is dropped and its error
// returned. It gives up with ErrConflict after the number of tries set by
// WithRetries. fn must not keep tx.
func (c *Client) Update(ctx context.Context, fn func(tx *Tx) error) error {
	for n := 0; ; n++ {
		again, err := c.attempt(ctx, fn)
		if !again {
			return err
		}
		if n+1 >= c.opt.retries {
			return fmt.Errorf("gave up after %d attempts: %w", n+1, err)
		}
		if n > 0 && sleep(ctx, retryDelay(n)) != nil {
			return fmt.Errorf("%w after %d attempts: %w", context.Cause(ctx), n+1, err)
		}
	}
}

// attempt reports whether it may be repeated: after a conflict, and after a lost
// connection if there will be another and the commit was not sent yet.
func (c *Client) attempt(ctx context.Context, fn func(tx *Tx) error) (again bool, err error) {
	if c.opt.turn != nil {
		defer c.opt.turn(ctx)()
	}
	tx, err := c.Begin(ctx)
	if err != nil {
		return c.redials() && errors.Is(err, ErrLost), err
	}
	defer tx.Abort()
	if err := fn(tx); err != nil {
		return c.redials() && errors.Is(tx.sess.cause(), ErrLost), err
	}
	err = tx.Commit(ctx)
	return errors.Is(err, ErrConflict), err
}

func endRequest(id uint32, commit bool) *request {
	r := &request{op: wire.OpTransactionEnd, tx: id, path: "F"}
	if commit {
		r.path = "T"
	}
	return r
}

func parseTxID(b []byte) (uint32, error) {
	id, err := strconv.ParseUint(wire.TrimNUL(b), 10, 32)
	if err != nil || id == 0 {
		return 0, fmt.Errorf("%w: transaction id %q", ErrProtocol, wire.TrimNUL(b))
	}
	return uint32(id), nil
}
