package backends

import (
	"context"
	"errors"
	"fmt"

	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// ErrNotOurs is what a Driver answers for a device that somebody else serves.
var ErrNotOurs = errors.New("device is not ours to serve")

// Driver makes the devices of one kind.
type Driver interface {
	// Open returns the serving half of the device at n, which has not connected
	// yet, or ErrNotOurs. It is asked again when the device's nodes change. Any
	// other error is written to the device's nodes and closes it.
	Open(ctx context.Context, n *Node) (Device, error)
}

// Device is the serving half of a device. Its goroutine calls the methods one after
// the other, but for Serve, which runs beside it. It may connect many times, for each
// time that the guest loads its driver.
type Device interface {
	// Features returns what the frontend has to know before it connects.
	Features(ctx context.Context) ([]Key, error)

	// Connect reads the frontend's nodes, maps its rings and binds its event
	// channels, all through l, and returns what the frontend has to know then. It
	// must not serve yet. Errors that are ErrFrontend are the guest's fault.
	Connect(ctx context.Context, l *Link) ([]Key, error)

	// Reattach is Connect to a frontend that an earlier process was connected to
	// and that does not know it is gone.
	Reattach(ctx context.Context, l *Link) error

	// Serve serves the rings until ctx ends. It returns when all that was begun is
	// finished and answered and nothing touches the link any more. An error closes
	// the device; after ctx has ended there is none.
	Serve(ctx context.Context) error

	// Release forgets the last connection: the frontend has let go of it. It is not
	// called when only this process ends.
	Release() error

	// Close ends the device.
	Close() error
}

// Watcher is a Device that follows nodes while it is open.
type Watcher interface {
	// FrontKeys are the frontend's nodes to watch.
	FrontKeys() []string
	// Changed is called after some of the backend's nodes, or of those, may have
	// changed. It looks at what it cares about.
	Changed(ctx context.Context) error
}

// Node is a device's place in xenstore.
type Node struct {
	ID   ID
	Self abi.DomID // the serving domain
	Kind string    // of the serving half

	front string
	store *xenstore.Client
	news  news
}

// BackPath is the directory of the serving half.
func (n *Node) BackPath() string { return BackPath(n.Self, n.Kind, n.ID) }

// FrontPath is the directory of the guest's half.
func (n *Node) FrontPath() string { return FrontPath(n.front, n.ID) }

// Store is where the nodes are.
func (n *Node) Store() *xenstore.Client { return n.store }

// Back reads nodes of the serving half, in one transaction. No guest can write them;
// it can read them all.
func (n *Node) Back(ctx context.Context, names ...string) (Keys, error) {
	keys, err := readKeys(ctx, n.store, n.BackPath(), names)
	if err != nil {
		return nil, fmt.Errorf("read the backend's nodes: %w", err)
	}
	return keys, nil
}

// CheckOwner fails unless the node called name is the serving domain's: then the toolstack
// wrote it and no guest, and it may name a file of this domain.
func (n *Node) CheckOwner(ctx context.Context, name string) error {
	path := n.BackPath() + "/" + name
	perms, err := n.store.Perms(ctx, path)
	if err != nil {
		return err
	}
	if len(perms) == 0 {
		return fmt.Errorf("%s belongs to nobody, so it may name no file", path)
	}
	if owner := perms[0].Dom; owner != n.Self {
		return fmt.Errorf("%s belongs to domain %d, so it may name no file", path, owner)
	}
	return nil
}

// Publish writes nodes of the serving half, if it still exists, and its state once
// more: a frontend watches that only.
func (n *Node) Publish(ctx context.Context, keys ...Key) error {
	return n.update(ctx, func(state State) (State, bool) { return state, true }, keys)
}

// errChanged says that a state was not the expected one any more.
var errChanged = errors.New("state has changed")

// setState writes keys and a new state if the state is still old.
func (n *Node) setState(ctx context.Context, old, state State, keys ...Key) error {
	return n.update(ctx, func(now State) (State, bool) { return state, now == old }, keys)
}

// update writes keys and the state that to makes of the present one. Nodes that the
// toolstack has removed are not made again: they would stay for ever.
func (n *Node) update(ctx context.Context, to func(State) (State, bool), keys []Key) error {
	dir := n.BackPath()
	err := n.store.Update(ctx, func(tx *xenstore.Tx) error {
		v, err := tx.Read(ctx, dir+"/state")
		if err != nil {
			return err
		}
		state, ok := to(parseState(v))
		if !ok {
			return errChanged
		}
		var b xenstore.Batch
		for _, k := range keys {
			b.Write(dir+"/"+k.Name, k.Value)
		}
		b.Write(dir+"/state", fmt.Sprint(uint8(state)))
		return tx.Send(ctx, &b)
	})
	if err != nil {
		return fmt.Errorf("write the backend's nodes: %w", err)
	}
	return nil
}
