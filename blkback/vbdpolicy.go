package blkback

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"goxl/backends"
	"goxl/domains/logs"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
	"goxl/xenstore/wire"
)

// PolicyKey is the backend's node by which a toolstack changes a disk's policy while it
// is served: words as in a line of the file of rules, over what that says.
const PolicyKey = "goxl-policy"

// SetRules changes the rules, and the policies of all disks that are open.
func (d *Driver) SetRules(ctx context.Context, r Rules) error {
	d.mu.Lock()
	d.rules = r
	var open []*vbd
	for _, v := range d.vbds {
		open = append(open, v)
	}
	d.mu.Unlock()
	var errs []error
	for _, v := range open {
		errs = append(errs, v.lookAtPolicy(ctx, true))
	}
	return errors.Join(errs...)
}

func (d *Driver) currentRules() Rules {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rules
}

// lookAtPolicy applies what the rules and the node say now. It is called whenever a
// node of the backend has changed, so it asks for one node, and for whose disk it is
// only with ask. A node that cannot be understood or that the guest may write is left
// out of account, and logged once: a wrong word must not end a disk.
func (v *vbd) lookAtPolicy(ctx context.Context, ask bool) error {
	v.looking.Lock()
	defer v.looking.Unlock()
	node := v.node.BackPath() + "/" + PolicyKey
	text, err := v.node.Store().Read(ctx, node)
	if err != nil && !errors.Is(err, xenstore.ErrNotFound) {
		return fmt.Errorf("the disk's policy: %w", err)
	}
	if text == v.said && !ask {
		return nil
	}
	if ask {
		if v.owner, err = v.askOwner(ctx); err != nil {
			return err
		}
	}
	p := v.rules().of(v.owner, v.node.ID.Dev)
	if text != "" {
		err := guestCannotWrite(ctx, v.node, node)
		if err == nil {
			err = p.set(strings.Fields(text))
		}
		if err != nil {
			v.log.Warn("the disk's policy in xenstore is not used", logs.Error(err))
		}
	}
	v.said = text
	if p != v.policy {
		v.gov.set(p)
		v.log.Info("policy of the disk", logs.String("policy", p.String()))
		v.policy = p
	}
	return nil
}

// askOwner asks whom the disk belongs to. A driver domain may not know.
func (v *vbd) askOwner(ctx context.Context) (owner, error) {
	var o owner
	dir := fmt.Sprintf("/local/domain/%d/", v.node.ID.Dom)
	for key, to := range map[string]*string{"name": &o.name, "vm": &o.uuid} {
		value, err := v.node.Store().Read(ctx, dir+key)
		if err == nil {
			err = guestCannotWrite(ctx, v.node, dir+key)
		}
		switch {
		case err == nil:
			*to = value
		case ctx.Err() != nil || !errors.Is(err, xenstore.ErrNotFound) && !errors.Is(err, xenstore.ErrPermission) && !errors.Is(err, errGuestWrites):
			return o, fmt.Errorf("whose disk it is: %w", err)
		}
	}
	o.name = strings.TrimSuffix(o.name, "--incoming") // while it arrives
	o.uuid = strings.TrimPrefix(o.uuid, "/vm/")
	return o, nil
}

var errGuestWrites = errors.New("the guest can write it")

// guestCannotWrite makes sure that what path says is not the frontend's word. The first
// entry of a node's permissions is its owner, and what all others may.
func guestCannotWrite(ctx context.Context, n *backends.Node, path string) error {
	perms, err := n.Store().Perms(ctx, path)
	if err != nil {
		return err
	}
	for i, p := range perms {
		owns := i == 0 && p.Dom == n.ID.Dom && p.Dom != abi.DomID(0)
		writes := p.Access&wire.Write != 0 && (p.Dom == n.ID.Dom || i == 0)
		if owns || writes {
			return fmt.Errorf("%s: %w", path, errGuestWrites)
		}
	}
	return nil
}
