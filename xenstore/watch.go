package xenstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"goxl/xenstore/wire"
)

// Event says that something changed at Path. It does not say what: by the time
// it is read, more may have changed.
type Event struct {
	Path  string // the changed node, or the watched one if a parent was removed
	Token string // as given with Token, else the watched path

	// Restarted means that events before this one may be missing, because the
	// connection was lost and made again. Path is then the watched one.
	Restarted bool
}

// WatchOption changes a watch.
type WatchOption func(*watchOptions)

type watchOptions struct {
	token, depth string
	hasToken     bool
	merge        bool
	limit        int
}

// Token sets what Event.Token says, so that events of several watches can be
// told apart. Watches may have the same token.
func Token(token string) WatchOption {
	return func(o *watchOptions) { o.token, o.hasToken = token, true }
}

// Merge drops an event that equals one that is still queued: enough for a
// reader that looks at the store again after each event.
func Merge() WatchOption { return func(o *watchOptions) { o.merge = true } }

// Limit sets how many events may be queued; 65536 by default.
func Limit(n int) WatchOption { return func(o *watchOptions) { o.limit = n } }

// Depth restricts the watch to n levels below its path; 0 is the node itself. It
// needs a store with FeatureWatchDepth (Xen 4.22); others answer with an error.
func Depth(n int) WatchOption { return func(o *watchOptions) { o.depth = strconv.Itoa(n) } }

// Watch is a subscription to the changes of nodes and all below them. Events are
// kept in order. Nothing is lost: a reader who falls behind by more than the
// limit finds the watch ended with ErrOverflow, after the events until then.
type Watch struct {
	c     *Client
	path  string
	limit int
	gone  bool // takes no more paths; guarded by the client's mutex

	mu     sync.Mutex
	queue  []Event
	queued map[Event]struct{} // of queue, when merging
	ended  bool
	err    error

	wake   chan struct{}
	quit   chan struct{} // closed by Close
	once   sync.Once
	done   chan struct{} // the pump is gone
	events chan Event
}

// subscription is one path of a watch, as the store knows it.
type subscription struct {
	w     *Watch
	path  string
	token string // the caller's
	id    string // the token that travels, unique in this client
	depth string
	sess  *session // where it is set; guarded by the client's mutex
}

// Watch subscribes to path, which may also be @introduceDomain or
// @releaseDomain. The first event comes at once and names path itself. ctx
// governs the subscribing only; Close ends the watch.
func (c *Client) Watch(ctx context.Context, path string, opts ...WatchOption) (*Watch, error) {
	o := watchOptions{limit: 1 << 16}
	for _, f := range opts {
		f(&o)
	}
	w := &Watch{
		c: c, path: path, limit: o.limit,
		wake: make(chan struct{}, 1), quit: make(chan struct{}),
		done: make(chan struct{}), events: make(chan Event),
	}
	if o.merge {
		w.queued = make(map[Event]struct{})
	}
	go w.pump()
	if err := w.Add(ctx, path, opts...); err != nil {
		w.stop()
		return nil, err
	}
	return w, nil
}

// Add subscribes w to another path, so that the events of both come in the
// order in which the store sent them. Of the options only Token and Depth count.
func (w *Watch) Add(ctx context.Context, path string, opts ...WatchOption) error {
	var o watchOptions
	for _, f := range opts {
		f(&o)
	}
	sub := &subscription{w: w, path: path, token: path, depth: o.depth}
	if o.hasToken {
		sub.token = o.token
	}
	for {
		err := w.c.set(ctx, sub)
		if !w.c.redials() || !errors.Is(err, ErrLost) {
			return err
		}
	}
}

// set makes sub known to the store and waits for its answer.
func (c *Client) set(ctx context.Context, sub *subscription) error {
	cl, s, err := c.subscribe(ctx, sub)
	if err != nil {
		return err
	}
	r := sub.request()
	_, err = s.wait(ctx, r, cl, func(_ []byte, err error) {
		if err == nil {
			s.post(sub.unwatch())
		}
	})
	if err != nil {
		c.mu.Lock()
		_, was := c.watches[sub.id]
		now := sub.sess
		delete(c.watches, sub.id)
		c.mu.Unlock()
		if was && now != s {
			now.post(sub.unwatch()) // redialling has just set it again
		}
	}
	return err
}

// subscribe registers sub and queues its request, on the same session.
func (c *Client) subscribe(ctx context.Context, sub *subscription) (*call, *session, error) {
	for {
		s, err := c.session(ctx)
		if err != nil {
			return nil, nil, sub.request().fail(err)
		}
		c.mu.Lock()
		if c.sess != s {
			c.mu.Unlock()
			continue // just redialled
		}
		if sub.w.gone {
			c.mu.Unlock()
			return nil, nil, sub.request().fail(fmt.Errorf("watch has ended: %w", ErrClosed))
		}
		c.tokens++
		sub.id = strconv.FormatUint(c.tokens, 10)
		cl := getCall()
		err = s.start(sub.request(), cl)
		if err == nil {
			sub.sess = s
			c.watches[sub.id] = sub
		}
		c.mu.Unlock()
		if err != nil {
			putCall(cl)
		}
		return cl, s, err
	}
}

// unwatch takes all subscriptions of w off the client's list and off the store.
// It does not wait for the store.
func (c *Client) unwatch(w *Watch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.gone = true
	for id, sub := range c.watches {
		if sub.w == w {
			delete(c.watches, id)
			sub.sess.post(sub.unwatch())
		}
	}
}

// event routes an event of the current session. Events of a watch that was
// closed just now are dropped.
func (c *Client) event(path, id string) {
	c.mu.Lock()
	sub := c.watches[id]
	c.mu.Unlock()
	if sub != nil && !sub.w.push(Event{Path: path, Token: sub.token}) {
		c.unwatch(sub.w)
	}
}

// Events returns the channel of events. It is closed when the watch ends.
func (w *Watch) Events() <-chan Event { return w.events }

// Path returns what was watched first.
func (w *Watch) Path() string { return w.path }

// Err returns why the watch ended by itself: ErrOverflow, the loss of the
// connection, or ErrClosed of the client. It is nil while the watch lives and
// after Close.
func (w *Watch) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Close ends the watch and its channel, dropping queued events. It does not wait
// for the store and may be called twice.
func (w *Watch) Close() error {
	w.c.unwatch(w)
	w.stop()
	return nil
}

func (sub *subscription) request() *request {
	r := &request{op: wire.OpWatch, path: sub.path, body: sub.id + "\x00"}
	if sub.depth != "" {
		r.body += sub.depth + "\x00"
	}
	return r
}

func (sub *subscription) unwatch() *request {
	return &request{op: wire.OpUnwatch, path: sub.path, body: sub.id + "\x00"}
}

// restarted sees the reply to setting sub again on a new connection.
func (sub *subscription) restarted(_ []byte, err error) {
	if err != nil {
		sub.w.c.unwatch(sub.w)
		sub.w.end(&Error{wire.OpWatch, sub.path, fmt.Errorf("after reconnecting: %w", err)})
	}
}

// push queues e without blocking. It reports false when the queue is full, which
// ends the watch.
func (w *Watch) push(e Event) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return true
	}
	if _, dup := w.queued[e]; dup {
		return true
	}
	if len(w.queue) >= w.limit {
		w.ended = true
		w.err = fmt.Errorf("watch %s: %w (%d events)", w.path, ErrOverflow, w.limit)
		w.signal()
		return false
	}
	if w.queued != nil {
		w.queued[e] = struct{}{}
	}
	w.queue = append(w.queue, e)
	w.signal()
	return true
}

// end lets the reader have what is queued, then err. It does not block.
func (w *Watch) end(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended {
		w.ended, w.err = true, err
		w.signal()
	}
}

// stop drops what is queued and waits for the pump.
func (w *Watch) stop() {
	w.once.Do(func() { close(w.quit) })
	<-w.done
}

func (w *Watch) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// pump moves events from the queue to the channel.
func (w *Watch) pump() {
	defer close(w.done)
	defer close(w.events)
	for {
		e, ok, over := w.pop()
		switch {
		case ok:
			select {
			case w.events <- e:
			case <-w.quit:
				return
			}
		case over:
			return
		default:
			select {
			case <-w.wake:
			case <-w.quit:
				return
			}
		}
	}
}

func (w *Watch) pop() (e Event, ok, over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		w.queue = nil // let the array go
		return Event{}, false, w.ended
	}
	e = w.queue[0]
	w.queue = w.queue[1:]
	delete(w.queued, e)
	return e, true, false
}
