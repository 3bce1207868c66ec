package xenstore

import (
	"context"
	"net"
)

// Option changes how Dial connects.
type Option func(*options)

type options struct {
	paths     []string
	dial      func(context.Context) (net.Conn, error)
	conn      net.Conn
	noDevice  bool
	wait      bool
	reconnect func(error)
	retries   int
	turn      func(context.Context) (done func())
}

// WithPath connects to the socket or device at path instead of the usual places.
func WithPath(path string) Option { return func(o *options) { o.paths = []string{path} } }

// WithSocketOnly leaves the kernel's device out of the usual places.
func WithSocketOnly() Option { return func(o *options) { o.noDevice = true } }

// WithConn speaks the protocol over c, which the client then owns.
func WithConn(c net.Conn) Option { return func(o *options) { o.conn = c } }

// WithDialer gets connections from dial, also those of WithReconnect.
func WithDialer(dial func(context.Context) (net.Conn, error)) Option {
	return func(o *options) { o.dial = dial }
}

// WithWait makes Dial keep trying until the daemon is there or ctx ends.
func WithWait() Option { return func(o *options) { o.wait = true } }

// WithReconnect dials again whenever the connection is lost. Requests under way
// then fail with ErrLost, later ones wait for the new connection; transactions
// end; watches are set again and their next event has Restarted set. report
// may be nil. It is called, from a goroutine of the client, with the cause when
// the connection is lost and with nil when there is a new one, and must not
// close the client. It has no effect together with WithConn.
func WithReconnect(report func(error)) Option {
	if report == nil {
		report = func(error) {}
	}
	return func(o *options) { o.reconnect = report }
}

// WithRetries sets how often Update tries before it gives up; 100 by default.
func WithRetries(n int) Option { return func(o *options) { o.retries = max(n, 1) } }

// WithTurns has every try of Update take its turn before it begins, and end it when the
// transaction has ended. The daemon lets no transaction wait for another: of those that
// go on at a time, one is committed and the others are done again, which for eight
// creations of guests at a time more than doubled their requests. A turn is a favour to
// others, not a lock: turn returns when it is ours, or when waiting for it is no longer
// worth it.
func WithTurns(turn func(context.Context) (done func())) Option {
	return func(o *options) { o.turn = turn }
}
