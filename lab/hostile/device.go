package hostile

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// States of the handshake. Source: xen/include/public/io/xenbus.h.
const (
	initialising = "1"
	initWait     = "2"
	initialised  = "3"
	connected    = "4"
	closing      = "5"
	closed       = "6"
)

// device is the guest's half of a device in xenstore.
type device struct {
	g           *guest
	front, back string
}

// device finds a device of this guest, such as vbd/51712.
func (g *guest) device(ctx context.Context, name string) (*device, error) {
	front := "device/" + name
	back, err := g.store.Read(ctx, front+"/backend")
	return &device{g, front, back}, err
}

// write sets nodes of ours: names and values in turn.
func (d *device) write(ctx context.Context, pairs ...string) error {
	d.g.fresh[d.front] = false
	var b xenstore.Batch
	for i := 0; i < len(pairs); i += 2 {
		b.Write(d.front+"/"+pairs[i], pairs[i+1])
	}
	return d.g.store.Send(ctx, &b)
}

func (d *device) state(ctx context.Context, s string) error { return d.write(ctx, "state", s) }

// await waits until the backend is in one of some states.
func (d *device) await(ctx context.Context, states ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	w, err := d.g.watch(ctx, d.back+"/state")
	if err != nil {
		return "", err
	}
	for {
		v, err := d.g.store.Read(ctx, d.back+"/state")
		if err != nil {
			return "", err
		}
		if slices.Contains(states, v) {
			return v, nil
		}
		select {
		case <-ctx.Done():
			return v, fmt.Errorf("the backend is in state %s after %s, want %s", v, patience, strings.Join(states, " or "))
		case _, ok := <-w.Events():
			if !ok {
				return v, w.Err()
			}
		}
	}
}

// watch is a watch of a node, which is set once: setting one takes long on an emulated
// machine, and the backends' states are waited for hundreds of times.
func (g *guest) watch(ctx context.Context, path string) (*xenstore.Watch, error) {
	if w := g.watches[path]; w != nil {
		return w, nil
	}
	w, err := g.store.Watch(ctx, path, xenstore.Merge())
	if err != nil {
		return nil, err
	}
	g.watches[path] = w
	return w, nil
}

// toolstacks are the nodes of our half that the toolstack wrote, and we leave.
var toolstacks = map[string]bool{"backend": true, "backend-id": true, "state": true, "handle": true, "mac": true,
	"virtual-device": true, "device-type": true, "trusted": true, "mtu": true, "script": true}

// reset leaves all that was, as a driver that is unloaded, and begins anew: the
// backend waits for us then. Where nothing was begun since the last reset there is
// nothing to do.
func (d *device) reset(ctx context.Context) error {
	if d.g.fresh[d.front] {
		return nil
	}
	if err := d.state(ctx, closed); err != nil {
		return err
	}
	if _, err := d.await(ctx, closed); err != nil {
		return fmt.Errorf("after we closed: %w", err)
	}
	names, err := d.g.store.List(ctx, d.front)
	if err != nil {
		return err
	}
	var b xenstore.Batch
	for _, n := range names {
		if !toolstacks[n] {
			b.Rm(d.front + "/" + n)
		}
	}
	b.Write(d.front+"/state", initialising)
	if err := d.g.store.Send(ctx, &b); err != nil {
		return err
	}
	if _, err := d.await(ctx, initWait); err != nil {
		return fmt.Errorf("when we began anew: %w", err)
	}
	d.g.fresh[d.front] = true
	return nil
}

// refused waits until the backend has closed because of what we did, and returns the
// reason that it gives.
func (d *device) refused(ctx context.Context) (string, error) {
	if s, err := d.await(ctx, closing, closed); err != nil {
		return "", fmt.Errorf("in state %s: %w", s, err)
	}
	reason, err := d.g.store.Read(ctx, d.back+"/error")
	if err != nil {
		return "", fmt.Errorf("the backend closed without a reason: %w", err)
	}
	return reason, nil
}

// feature reads a number that the backend wrote; no node is 0.
func (d *device) feature(ctx context.Context, name string) uint64 {
	v, _ := d.g.store.Read(ctx, d.back+"/"+name)
	n, _ := strconv.ParseUint(v, 10, 64)
	return n
}

// text writes a reference or a port as a node has it.
func text[T abi.GrantRef | abi.Port](v T) string { return strconv.FormatUint(uint64(v), 10) }
