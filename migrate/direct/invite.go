package direct

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"goxl/migrate/lanes"
)

// Options are those of both sides. The zero value is what is right without any wishes.
type Options struct {
	Identity Identity
	// Say, if not nil, is told what a person should know.
	Say func(text string)

	// Streams is how many connections the sender wants, at least one.
	Streams int
	// Via, if not empty, is where the sender connects to, instead of what the
	// receiver says: an address, or one with a port.
	Via string
	// Reach is how long the sender tries to reach the receiver; 5 s.
	Reach time.Duration

	// Listen, if not empty, is where the receiver listens: an address, ":port" or
	// both. Without it, it listens on all addresses, on a port that is free.
	Listen string
	// Known is the address by which the sender has reached the receiver before.
	Known string

	// Patience is that of lanes.Options.
	Patience time.Duration
}

func (o *Options) say(format string, args ...any) {
	if o.Say != nil {
		o.Say(fmt.Sprintf(format, args...))
	}
}

// Sender is the direct way.
type Sender struct {
	*lanes.Sender
	// Channel is what Invite was given. It has to be used instead of that from here on:
	// while the guest is under way, its end ends the stream.
	Channel io.ReadWriter
}

// Invite agrees with the receiver behind channel on the direct way and returns it. When
// the receiver cannot be reached the result is nil without an error, Say was told why,
// and the guest has to go over the channel. It is an error when the channel is lost, when
// somebody is reached who is not the receiver, and when Identity is of an authority: then
// the channel is not to be trusted with the guest.
func Invite(ctx context.Context, channel io.ReadWriter, o Options) (*Sender, error) {
	cert, err := o.Identity.certificate()
	if err != nil {
		return nil, err
	}
	if err := writeMessage(channel, invitation{o.Streams, fingerprint(cert.Certificate[0])}); err != nil {
		return nil, fmt.Errorf("invite the receiver to the direct way: %w", err)
	}
	var a answer
	if err := readMessage(channel, 0, &a); err != nil {
		return nil, fmt.Errorf("the receiver's answer about the direct way: %w", err)
	}
	d, conns, err := o.reach(ctx, cert, &a)
	if err != nil && (errors.Is(err, ErrIdentity) || o.Identity.Authority() || ctx.Err() != nil) {
		return nil, fmt.Errorf("the direct way: %w", err)
	}
	if err != nil {
		o.say("The direct way is closed, so the guest goes over the channel: %v", err)
	}
	if told := writeMessage(channel, choice{conns != nil}); told != nil {
		for _, c := range conns {
			c.Close()
		}
		return nil, fmt.Errorf("tell the receiver the way: %w", told)
	}
	if conns == nil {
		return nil, nil
	}
	o.say("The guest goes directly to %s, over %d connections.", d.at, len(conns))
	lo := lanes.Options{Patience: o.Patience}
	copy(lo.Token[:], a.Token)
	s := lanes.NewSender(ctx, lo, d.dial, conns)
	return &Sender{s, watch(channel, s.Fail)}, nil
}

// dialer connects to the receiver.
type dialer struct {
	at     string // address and port that were good
	config *tls.Config
}

// reach connects as often as is wanted.
func (o *Options) reach(ctx context.Context, cert *tls.Certificate, a *answer) (*dialer, []net.Conn, error) {
	if a.Refused != "" {
		return nil, nil, fmt.Errorf("the receiver does not listen: %.200q", a.Refused)
	}
	if err := a.check(); err != nil {
		return nil, nil, err
	}
	at, err := places(o.Via, a.Addresses)
	if err != nil {
		return nil, nil, err
	}
	limit := o.Reach
	if limit <= 0 {
		limit = 5 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	d := &dialer{config: o.Identity.config(cert, a.Fingerprint, x509.ExtKeyUsageServerAuth)}
	first, err := d.first(ctx, at)
	if err != nil {
		return nil, nil, err
	}
	conns := []net.Conn{first}
	for len(conns) < o.Streams {
		c, err := d.dial(ctx)
		if err != nil {
			for _, c := range conns {
				c.Close()
			}
			return nil, nil, err
		}
		conns = append(conns, c)
	}
	return d, conns, nil
}

// places are where to connect to.
func places(via string, said []netip.AddrPort) (at []string, err error) {
	if via == "" {
		for _, a := range said {
			at = append(at, a.String())
		}
		return at, nil
	}
	return []string{withPort(via, fmt.Sprint(said[0].Port()))}, nil
}

// withPort is a place with its own port, or with that one.
func withPort(place, port string) string {
	if _, _, err := net.SplitHostPort(place); err == nil {
		return place
	}
	return net.JoinHostPort(strings.Trim(place, "[]"), port)
}

// first finds the place that answers: all are tried at once, and the others given up.
func (d *dialer) first(ctx context.Context, at []string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		at   string
		conn net.Conn
		err  error
	}
	results := make(chan result)
	for _, a := range at {
		go func() {
			c, err := d.connect(ctx, a)
			results <- result{a, c, err}
		}()
	}
	var conn net.Conn
	var errs []error
	for range at {
		switch r := <-results; {
		case r.err != nil:
			errs = append(errs, r.err)
		case conn == nil:
			conn, d.at = r.conn, r.at
			cancel()
		default:
			r.conn.Close()
		}
	}
	if conn != nil {
		return conn, nil
	}
	return nil, errors.Join(errs...)
}

func (d *dialer) dial(ctx context.Context) (net.Conn, error) { return d.connect(ctx, d.at) }

// connect makes a connection to one place and finds out who is there.
func (d *dialer) connect(ctx context.Context, at string) (net.Conn, error) {
	tcp, err := (&net.Dialer{Timeout: greetLimit}).DialContext(ctx, "tcp", at)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%w: %w", lanes.ErrGone, err)
	}
	if err != nil {
		return nil, err
	}
	c := tls.Client(tcp, d.config)
	if err := greet(ctx, c); err != nil {
		tcp.Close()
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	return abrupt{c}, nil
}

// welcome is what the receiver says when it has taken the sender for the right one:
// in TLS 1.3 a client's handshake ends before that.
const welcome = '+'

// greet makes sure who the receiver is, and that it is content with us.
func greet(ctx context.Context, c *tls.Conn) error {
	if err := shake(ctx, c); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, greetLimit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { c.NetConn().Close() })
	defer stop()
	b := make([]byte, 1)
	_, err := io.ReadFull(c, b)
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "remote error": // an alert; its type is not exported
		return fmt.Errorf("%w: it does not take this side for the sender: %w", ErrIdentity, err)
	case err == nil && b[0] != welcome:
		return fmt.Errorf("%w: it greets with %q", ErrMessage, b)
	}
	return err
}

// shake makes sure who the other side is.
func shake(ctx context.Context, c *tls.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, greetLimit)
	defer cancel()
	return c.HandshakeContext(ctx)
}

// greetLimit is how long either side has to show who it is.
const greetLimit = 10 * time.Second

// abrupt is a connection that is closed without a farewell, for which the other side
// would have to be there. What is whole is said inside.
type abrupt struct{ *tls.Conn }

func (a abrupt) Close() error { return a.NetConn().Close() }
