package xenstore

import (
	"context"
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
type WatchOption func(*Watch)

// Token sets what Event.Token says, so that events of several watches can be
// told apart. Watches may have the same token.
func Token(token string) WatchOption { return func(w *Watch) { w.token = token } }

// Merge drops an event that equals one that is still queued: enough for a
// reader that looks at the store again after each event.
func Merge() WatchOption { return func(w *Watch) { w.queued = make(map[Event]struct{}) } }

// Limit sets how many events may be queued; 65536 by default.
func Limit(n int) WatchOption { return func(w *Watch) { w.limit = n } }

// Depth restricts the watch to n levels below its path; 0 is the node itself. It
// needs a store with FeatureWatchDepth (Xen 4.22); others answer with an error.
func Depth(n int) WatchOption { return func(w *Watch) { w.depth = strconv.Itoa(n) } }

// Watch is a subscription to the changes of a node and all below it. Events are
// kept in order. Nothing is lost: a reader who falls behind by more than the
// limit finds the watch ended with ErrOverflow, after the events until then.
type Watch struct {
	c     *Client
	path  string
	token string // the caller's
	id    string // the one that travels, unique in this client
	depth string
	limit int
	sess  *session // where it is set; guarded by the client's mutex

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

// Watch subscribes to path, which may also be @introduceDomain or
// @releaseDomain. The first event comes at once and names path itself. ctx
// governs the subscribing only; Close ends the watch.
func (c *Client) Watch(ctx context.Context, path string, opts ...WatchOption) (*Watch, error) {
	w := &Watch{
		c: c, path: path, token: path, limit: 1 << 16,
		wake: make(chan struct{}, 1), quit: make(chan struct{}),
		done: make(chan struct{}), events: make(chan Event),
	}
	for _, o := range opts {
		o(w)
	}
	r := w.request()
	cl, s, err := c.subscribe(ctx, w)
	if err != nil {
		return nil, r.fail(err)
	}
	go w.pump()
	if _, err := s.wait(ctx, r, cl, func(_ []byte, err error) {
		if err == nil {
			s.post(w.unwatch())
		}
	}); err != nil {
		if now, was := c.forget(w); was && now != s {
			now.post(w.unwatch()) // redialling has just set it again
		}
		w.stop()
		return nil, err
	}
	return w, nil
}

// subscribe registers w and queues its request, on the same session.
func (c *Client) subscribe(ctx context.Context, w *Watch) (*call, *session, error) {
	for {
		s, err := c.session(ctx)
		if err != nil {
			return nil, nil, err
		}
		c.mu.Lock()
		if c.sess != s {
			c.mu.Unlock()
			continue // just redialled
		}
		c.tokens++
		w.id = strconv.FormatUint(c.tokens, 10)
		cl := getCall()
		err = s.start(w.request(), cl)
		if err == nil {
			w.sess = s
			c.watches[w.id] = w
		}
		c.mu.Unlock()
		if err != nil {
			putCall(cl)
		}
		return cl, s, err
	}
}

// forget takes w off the client's list and reports where it was set.
func (c *Client) forget(w *Watch) (s *session, was bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, was = c.watches[w.id]
	delete(c.watches, w.id)
	return w.sess, was
}

// event routes an event of the current session. Events of a watch that was
// closed just now are dropped.
func (c *Client) event(path, id string) {
	c.mu.Lock()
	w := c.watches[id]
	c.mu.Unlock()
	if w != nil && !w.push(Event{Path: path, Token: w.token}) {
		if s, was := c.forget(w); was {
			s.post(w.unwatch())
		}
	}
}

// Events returns the channel of events. It is closed when the watch ends.
func (w *Watch) Events() <-chan Event { return w.events }

// Path returns what is watched.
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
	if s, was := w.c.forget(w); was {
		s.post(w.unwatch())
	}
	w.stop()
	return nil
}

func (w *Watch) request() *request {
	r := &request{op: wire.OpWatch, path: w.path, body: w.id + "\x00"}
	if w.depth != "" {
		r.body += w.depth + "\x00"
	}
	return r
}

func (w *Watch) unwatch() *request {
	return &request{op: wire.OpUnwatch, path: w.path, body: w.id + "\x00"}
}

// restarted sees the reply to setting w again on a new connection.
func (w *Watch) restarted(_ []byte, err error) {
	if err == nil {
		return
	}
	w.c.forget(w)
	w.end(&Error{wire.OpWatch, w.path, fmt.Errorf("after reconnecting: %w", err)})
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
