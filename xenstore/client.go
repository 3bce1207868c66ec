package xenstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Client is a connection to the store. Its methods may be called concurrently;
// each blocks for the store's reply or until its ctx ends, and an abandoned
// request disturbs no other. A request that was abandoned may still be carried
// out.
type Client struct {
	commands
	opt options

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	wg   sync.WaitGroup // redialling

	mu      sync.Mutex
	sess    *session                 // the newest
	ready   chan struct{}            // closed while sess is usable
	err     error                    // why there will be no other session
	watches map[string]*subscription // by the token that travels
	tokens  uint64
}

// Dial connects to the store: to the socket or device that libxenstore would
// choose, unless an option names another. It fails at once when nothing answers
// there, or waits with WithWait. The caller closes the client.
func Dial(ctx context.Context, opts ...Option) (*Client, error) {
	o := options{retries: 100}
	for _, f := range opts {
		f(&o)
	}
	e, err := o.openRetrying(ctx, o.wait)
	if err != nil {
		return nil, fmt.Errorf("connect to xenstore: %w", err)
	}
	c := &Client{opt: o, ready: make(chan struct{}), watches: make(map[string]*subscription)}
	c.commands.target = c
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.mu.Lock()
	c.adopt(e)
	c.mu.Unlock()
	return c, nil
}

// Close ends the connection, all requests under way and all watches, and
// returns when the client's goroutines are gone. It may be called twice.
func (c *Client) Close() error {
	c.mu.Lock()
	if c.err == nil {
		c.finish(ErrClosed)
	}
	s := c.sess
	subs := slices.Collect(maps.Values(c.watches))
	c.mu.Unlock()
	c.stop()
	s.close(ErrClosed)
	c.wg.Wait()
	for _, sub := range subs {
		sub.w.end(ErrClosed)
		sub.w.Close()
	}
	return nil
}

// adopt makes e the current connection. c.mu is held.
func (c *Client) adopt(e endpoint) {
	c.sess = newSession(e.ReadWriteCloser, e.device, c.event, c.ended)
	close(c.ready)
}

// finish makes err final. c.mu is held.
func (c *Client) finish(err error) {
	c.err = err
	select {
	case <-c.ready:
	default:
		close(c.ready) // nobody need wait for another session
	}
}

// session returns the current connection, waiting for one while redialling.
func (c *Client) session(ctx context.Context) (*session, error) {
	for {
		c.mu.Lock()
		s, ready, err := c.sess, c.ready, c.err
		c.mu.Unlock()
		select {
		case <-ready:
			if err != nil {
				return nil, err
			}
			return s, nil
		default:
		}
		select {
		case <-ready:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// ended is told by a session that it is over.
func (c *Client) ended(s *session) {
	why := s.cause()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sess != s || c.err != nil {
		return
	}
	if !c.redials() {
		c.finish(why)
		for _, sub := range c.watches {
			sub.w.end(why)
		}
		return
	}
	c.ready = make(chan struct{})
	c.wg.Add(1)
	go func() { defer c.wg.Done(); c.redial(why) }()
}

// redials reports whether a lost connection is made again.
func (c *Client) redials() bool { return c.opt.reconnect != nil && c.opt.conn == nil }

// redial gets a new connection and sets the watches again.
func (c *Client) redial(why error) {
	c.opt.reconnect(why)
	for {
		e, err := c.opt.openRetrying(c.ctx, true)
		if err != nil {
			return // closed
		}
		// Not ready for others before the watches are queued.
		c.mu.Lock()
		if c.err != nil {
			c.mu.Unlock()
			e.Close()
			return
		}
		c.adopt(e)
		s := c.sess
		for _, sub := range c.watches {
			sub.w.push(Event{Path: sub.path, Token: sub.token, Restarted: true})
			sub.sess = s
			_ = s.start(sub.request(), &call{gone: true, late: sub.restarted}) // a lost session is redialled
		}
		c.mu.Unlock()
		c.opt.reconnect(nil)
		return
	}
}

// Await reads path now and after each change below it, until ok says that the
// value is what the caller waits for; exists is false while there is no such
// node. It returns that value. It blocks until then, until ctx ends or until
// path cannot be read or watched.
func (c *Client) Await(ctx context.Context, path string, ok func(value string, exists bool) bool) (string, error) {
	w, err := c.Watch(ctx, path, Merge())
	if err != nil {
		return "", err
	}
	defer w.Close()
	for {
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("xenstore await %s: %w", path, context.Cause(ctx))
		case _, more := <-w.Events():
			if !more {
				return "", fmt.Errorf("xenstore await %s: %w", path, w.Err())
			}
		}
		v, err := c.Read(ctx, path)
		switch {
		case err == nil || errors.Is(err, ErrNotFound):
			if ok(v, err == nil) {
				return v, nil
			}
		case errors.Is(err, ErrLost) && c.redials():
		default:
			return "", err
		}
	}
}

// retryDelay is the pause before attempt n of a transaction that met a conflict.
func retryDelay(n int) time.Duration {
	return backoff(n, time.Millisecond, 100*time.Millisecond)
}
