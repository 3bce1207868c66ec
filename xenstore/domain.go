package xenstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"goxl/xenctrl/abi"
	"goxl/xenstore/wire"
)

func (c *Client) bind(ctx context.Context, _ *request) (*session, error) { return c.session(ctx) }

// domRequest asks about one domain; more are the further arguments.
func domRequest(op wire.Op, dom abi.DomID, more ...uint64) *request {
	r := &request{op: op, path: strconv.Itoa(int(dom))}
	var b []byte
	for _, v := range more {
		b = append(strconv.AppendUint(b, v, 10), 0)
	}
	r.body = string(b)
	return r
}

// Introduce tells the store to serve domain dom: gfn holds its ring (an MFN for
// PV) and port is the guest's unbound event channel. It fires @introduceDomain.
func (c *Client) Introduce(ctx context.Context, dom abi.DomID, gfn abi.GFN, port abi.Port) error {
	return c.exec(ctx, domRequest(wire.OpIntroduce, dom, uint64(gfn), uint64(port)))
}

// Release makes the store let go of domain dom. It fires @releaseDomain. The
// store also does so by itself when a domain is gone.
func (c *Client) Release(ctx context.Context, dom abi.DomID) error {
	return c.exec(ctx, domRequest(wire.OpRelease, dom))
}

// Resume tells the store that domain dom, which shut down to be suspended, runs
// again, so that its next shutdown fires @releaseDomain.
func (c *Client) Resume(ctx context.Context, dom abi.DomID) error {
	return c.exec(ctx, domRequest(wire.OpResume, dom))
}

// SetTarget gives domain dom, a device model, the rights of domain target.
func (c *Client) SetTarget(ctx context.Context, dom, target abi.DomID) error {
	return c.exec(ctx, domRequest(wire.OpSetTarget, dom, uint64(target)))
}

// IsIntroduced reports whether the store serves domain dom.
func (c *Client) IsIntroduced(ctx context.Context, dom abi.DomID) (bool, error) {
	r := domRequest(wire.OpIsIntroduced, dom)
	b, err := c.do(ctx, r)
	if err != nil {
		return false, err
	}
	switch s := wire.TrimNUL(b); s {
	case "T":
		return true, nil
	case "F":
		return false, nil
	default:
		return false, r.fail(fmt.Errorf("%w: answer %q", ErrProtocol, s))
	}
}

// DomainPath returns /local/domain/<dom>, as the store sees it.
func (c *Client) DomainPath(ctx context.Context, dom abi.DomID) (string, error) {
	b, err := c.do(ctx, domRequest(wire.OpGetDomainPath, dom))
	return wire.TrimNUL(b), err
}

// Control sends a command to the daemon and returns its answer. Which commands
// there are depends on the daemon and its release; "help" lists them.
func (c *Client) Control(ctx context.Context, command string, args ...string) (string, error) {
	r := &request{op: wire.OpControl, path: command, body: string(wire.AppendStrings(nil, args...))}
	b, err := c.do(ctx, r)
	return strings.TrimSuffix(string(b), "\x00"), err
}

// ResetWatches makes the store forget all watches and transactions of this
// connection, and ends all of the client's watches. A new owner of a
// connection that others used before, such as a guest after kexec, starts so.
func (c *Client) ResetWatches(ctx context.Context) error {
	c.mu.Lock()
	for id, sub := range c.watches {
		delete(c.watches, id)
		sub.w.end(ErrClosed)
	}
	c.mu.Unlock()
	return c.exec(ctx, &request{op: wire.OpResetWatches})
}

// Features are what a store can do beyond the basic protocol, as it tells
// guests in their ring page (XENSTORE_SERVER_FEATURE_* in xs_wire.h).
type Features uint32

// The features.
const (
	FeatureReconnection Features = 1 << iota // a guest may reset its ring
	FeatureError                             // the ring page has an error field
	FeatureWatchDepth                        // Watch takes a depth; Xen 4.22
	FeatureDomIDAny                          // permissions for DomAny; Xen 4.22
)

// Features returns what the running store supports. Daemons before Xen 4.22
// cannot be asked: errors.ErrUnsupported.
func (c *Client) Features(ctx context.Context) (Features, error) {
	r := &request{op: wire.OpGetFeature, raw: true}
	b, err := c.do(ctx, r)
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseUint(wire.TrimNUL(b), 10, 32)
	if err != nil {
		return 0, r.fail(fmt.Errorf("%w: answer %q", ErrProtocol, b))
	}
	return Features(v), nil
}
