package direct

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"goxl/migrate/lanes"
)

// Receiver is where a guest comes from: directly, or over the channel. Close it only
// when the sender has everything that it wants to know.
type Receiver struct {
	io.Reader
	// Channel is what Accept was given. It has to be used instead of that from here on:
	// while the guest is under way, its end ends the stream.
	Channel io.ReadWriter

	lanes  *lanes.Receiver // nil: it comes over the channel
	listen net.Listener
	tasks  sync.WaitGroup
	slots  chan struct{} // who may be about to show who it is
	config *tls.Config
	end    context.CancelFunc
}

// Accept looks whether the sender behind channel invites to the direct way, and if so
// goes it. What a sender says that does not is read from the result, from its first
// byte. It reads no more from channel than it must.
func Accept(ctx context.Context, channel io.ReadWriter, o Options) (*Receiver, error) {
	first := make([]byte, len(Name))
	n, err := io.ReadFull(channel, first)
	switch {
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, err
	case string(first[:n]) != Name:
		return &Receiver{Reader: io.MultiReader(bytes.NewReader(first[:n]), channel), Channel: channel}, nil
	}
	var in invitation
	if err := readMessage(channel, len(Name), &in); err != nil {
		return nil, fmt.Errorf("the sender's invitation to the direct way: %w", err)
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	return o.accept(ctx, channel, &in)
}

func (o *Options) accept(ctx context.Context, channel io.ReadWriter, in *invitation) (_ *Receiver, err error) {
	r := &Receiver{}
	ctx, r.end = context.WithCancel(ctx)
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	a, err := r.open(ctx, o, in)
	if err != nil {
		o.say("The direct way is not possible: %v", err)
		a = &answer{Refused: err.Error()}
	}
	if err := writeMessage(channel, a); err != nil {
		return nil, fmt.Errorf("answer the sender about the direct way: %w", err)
	}
	var c choice
	if err := readMessage(channel, 0, &c); err != nil {
		return nil, fmt.Errorf("the sender's choice of a way: %w", err)
	}
	if !c.Direct {
		return &Receiver{Reader: channel, Channel: channel}, r.Close()
	}
	if r.lanes == nil {
		return nil, fmt.Errorf("%w: the direct way was refused, and is gone", ErrMessage)
	}
	context.AfterFunc(ctx, func() { r.lanes.Close() })
	r.Reader, r.Channel = r.lanes, watch(channel, r.lanes.Fail)
	return r, nil
}

// open begins to listen, and to receive.
func (r *Receiver) open(ctx context.Context, o *Options, in *invitation) (*answer, error) {
	cert, err := o.Identity.certificate()
	if err != nil {
		return nil, err
	}
	a := &answer{Fingerprint: fingerprint(cert.Certificate[0]), Token: make([]byte, lanes.TokenSize)}
	if _, err := rand.Read(a.Token); err != nil {
		return nil, err
	}
	if r.listen, err = (&net.ListenConfig{}).Listen(ctx, "tcp", withPort(o.Listen, "0")); err != nil {
		return nil, err
	}
	if a.Addresses, err = reachable(r.listen.Addr(), o.Known); err != nil {
		return nil, err
	}
	lo := lanes.Options{Patience: o.Patience}
	copy(lo.Token[:], a.Token)
	r.lanes = lanes.NewReceiver(lo, in.Streams)
	r.config = o.Identity.config(cert, in.Fingerprint, x509.ExtKeyUsageClientAuth)
	r.slots = make(chan struct{}, 2*in.Streams+4)
	r.tasks.Go(func() { r.admit(ctx) })
	return a, nil
}

// admit takes connections until there is no more listening.
func (r *Receiver) admit(ctx context.Context) {
	for {
		c, err := r.listen.Accept()
		if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
			return
		}
		if err != nil { // too many open files, or the like
			select {
			case <-time.After(100 * time.Millisecond):
				continue
			case <-ctx.Done():
				return
			}
		}
		select {
		case r.slots <- struct{}{}:
			r.tasks.Go(func() { r.meet(ctx, c) })
		default:
			c.Close() // a crowd: strangers
		}
	}
}

// meet finds out who has come, and lets the sender in.
func (r *Receiver) meet(ctx context.Context, tcp net.Conn) {
	stop := context.AfterFunc(ctx, func() { tcp.Close() })
	defer stop()
	defer tcp.Close()
	c := tls.Server(tcp, r.config)
	err := shake(ctx, c)
	<-r.slots
	if err == nil {
		_, err = c.Write([]byte{welcome})
	}
	if err == nil {
		_ = r.lanes.Attach(abrupt{c}) // what ends the stream its reader is told
	}
}

// Finish makes sure that what was sent directly has come to its end.
func (r *Receiver) Finish() error {
	if r.lanes == nil {
		return nil
	}
	return r.lanes.Finish()
}

// Close ends the direct way, and what runs for it.
func (r *Receiver) Close() error {
	if r.end == nil {
		return nil
	}
	r.end()
	if r.listen != nil {
		r.listen.Close()
	}
	if r.lanes != nil {
		r.lanes.Close()
	}
	r.tasks.Wait()
	return nil
}

// reachable is where a listener may be reached: the address that is known to be good
// first, then the host's others.
func reachable(at net.Addr, known string) (list []netip.AddrPort, err error) {
	here, err := netip.ParseAddrPort(at.String())
	if err != nil {
		return nil, err
	}
	add := func(a netip.Addr) {
		p := netip.AddrPortFrom(a.Unmap(), here.Port())
		for _, b := range list {
			if b == p {
				return
			}
		}
		if len(list) < mostAddresses {
			list = append(list, p)
		}
	}
	if !here.Addr().IsUnspecified() {
		add(here.Addr())
		return list, nil
	}
	if a, err := netip.ParseAddr(known); err == nil && a.Zone() == "" {
		add(a)
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		if p, err := netip.ParsePrefix(i.String()); err == nil && p.Addr().IsGlobalUnicast() {
			add(p.Addr())
		}
	}
	if len(list) == 0 {
		return nil, errors.New("this host has no address that others could reach")
	}
	return list, nil
}
