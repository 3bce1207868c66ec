package console

import (
	"context"
	"errors"
	"fmt"

	"goxl/backends"
	"goxl/domains/logs"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// ChannelKind is the kind of both halves of a console that a guest connects itself.
const ChannelKind = "console"

// The toolstack leaves a channel to this daemon by this node of the backend's. Without
// it the channel is QEMU's.
const (
	ServerKey   = "goxl-server"
	ServerValue = "consoled"
)

// Channels opens channels for a backends.Manager: consoles beyond the first one, each
// at a terminal or a socket.
type Channels struct {
	store *xenstore.Client
	log   *logs.Logger
}

// NewChannels returns a driver that tells store where the terminals are.
func NewChannels(store *xenstore.Client, log *logs.Logger) *Channels {
	return &Channels{store: store, log: log}
}

// Open makes the channel's terminal or socket, which stays until the channel goes.
func (d *Channels) Open(ctx context.Context, n *backends.Node) (backends.Device, error) {
	keys, err := n.Back(ctx, ServerKey, "connection", "path", "name")
	if err != nil {
		return nil, err
	}
	if keys[ServerKey] != ServerValue || n.ID.Dev == 0 {
		return nil, backends.ErrNotOurs
	}
	for name := range keys { // all of them choose what is opened here
		if err := n.CheckOwner(ctx, name); err != nil {
			return nil, err
		}
	}
	out, err := openOutlet(keys["connection"], keys["path"])
	if err != nil {
		return nil, fmt.Errorf("channel %q: %w", keys["name"], err)
	}
	log := d.log.With(logs.Uint16("dom", uint16(n.ID.Dom)), logs.Int("channel", n.ID.Dev))
	c := &channel{node: n, store: d.store, log: log, sink: newSink(out, backlog{limit: defaultLimit}, nil, nil, false, log)}
	if err := c.publish(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	log.Info("channel opened", logs.String("name", keys["name"]), logs.String("at", out.Path()))
	return c, nil
}

func openOutlet(connection, path string) (outlet, error) {
	switch connection {
	case "pty":
		return openTerminal()
	case "socket":
		return openSocket(path)
	}
	return nil, fmt.Errorf("connection %q is neither pty nor socket", connection)
}

// channel is one console that a guest connects itself.
type channel struct {
	node  *backends.Node
	store *xenstore.Client
	log   *logs.Logger
	sink  *sink
	link  *link // from Connect to Serve
}

// publish tells where the terminal is, beside the guest's own nodes, unless they have
// gone. Only the toolstack and this domain may write it.
func (c *channel) publish(ctx context.Context) error {
	t, ok := c.sink.out.(*terminal)
	if !ok {
		return nil
	}
	dir := c.node.FrontPath()
	err := c.store.Update(ctx, func(tx *xenstore.Tx) error {
		if _, err := tx.Read(ctx, dir+"/backend-id"); err != nil {
			return err
		}
		return tx.Write(ctx, dir+"/tty", t.Path())
	})
	if err != nil {
		return fmt.Errorf("tell where the channel's terminal is: %w", err)
	}
	return nil
}

// Features returns nothing: there are none.
func (c *channel) Features(context.Context) ([]backends.Key, error) { return nil, nil }

// Connect maps the ring.
func (c *channel) Connect(ctx context.Context, l *backends.Link) ([]backends.Key, error) {
	keys, err := l.Front(ctx, "ring-ref", "port")
	if err != nil {
		return nil, err
	}
	ref, err := keys.Need("ring-ref", 0, 1<<32-1)
	if err != nil {
		return nil, err
	}
	remote, err := keys.Need("port", 1, 1<<32-1)
	if err != nil {
		return nil, err
	}
	page, err := l.Map(abi.GrantRef(ref))
	if err != nil {
		return nil, err
	}
	events, err := l.Bind(abi.Port(remote))
	if err != nil {
		return nil, err
	}
	c.link = newLink(page, channelPort{events}, c.sink, c.log)
	return nil, nil
}

// Reattach connects again: the ring itself tells what was taken of it.
func (c *channel) Reattach(ctx context.Context, l *backends.Link) error {
	_, err := c.Connect(ctx, l)
	return err
}

// Serve serves the ring until ctx ends.
func (c *channel) Serve(ctx context.Context) error { return c.link.run(ctx) }

// Release has nothing to forget.
func (c *channel) Release() error { return nil }

// Close ends the terminal or the socket.
func (c *channel) Close() error { return c.sink.close() }

// channelPort is a channel's event channel, as a link waits for it.
type channelPort struct{ *backends.Channel }

// Wait ends with ctx, and with it the event channel: a link waits for one event after
// the other until its end.
func (p channelPort) Wait(ctx context.Context) error {
	release := context.AfterFunc(ctx, func() { p.Channel.Close() })
	defer release()
	return p.Channel.Wait()
}

// Rearm lets the next event come.
func (p channelPort) Rearm() error { return p.Unmask() }

// Bound is what a link does not ask.
func (p channelPort) Bound() (bool, error) { return true, nil }
