package netback

import (
	"context"
	"errors"
	"fmt"

	"goxl/backends"
	"goxl/backends/ring"
	"goxl/netback/netif"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/gnttab"
)

// ctrlRing answers what a guest asks on the control ring: how the frames for it are to
// be hashed. A request is answered, and its answer shown, before the next one is taken.
type ctrlRing struct {
	vif     *session
	page    backends.Mapping
	back    *ring.Back
	batch   *gnttab.Batch
	port    ctrlPort
	journal ctrlJournal
	arena   []byte // what is copied from the guest
	now     *hashing
}

// ctrlPort is the event channel of a control ring, as backends.Channel has it. Close
// ends a Wait.
type ctrlPort interface {
	Wait() error
	Unmask() error
	Notify() error
	Close() error
}

// connectCtrl maps the control ring that f names, if any.
func (s *session) connectCtrl(l *backends.Link, f *front) (err error) {
	if f.ctrl == nil {
		return nil
	}
	c := &ctrlRing{vif: s, journal: newCtrlJournal(s.journal), now: &hashing{}}
	s.ctrl = c
	if s.resumed {
		if c.now, err = c.journal.hashing(len(f.queues)); err != nil {
			return fmt.Errorf("%w: %w", backends.ErrFrontend, err)
		}
	}
	if c.page, err = l.Map(f.ctrl.ref); err != nil {
		return err
	}
	if c.port, err = l.Bind(f.ctrl.port); err != nil {
		return err
	}
	if c.batch, err = l.NewBatch(); err != nil {
		return err
	}
	if c.arena, err = newArena(abi.PageSize); err != nil {
		return err
	}
	s.use(c.now)
	return nil
}

// run serves the ring in mem until ctx ends, or the guest breaks the rules.
func (c *ctrlRing) run(ctx context.Context, mem []byte, resumed bool) (err error) {
	if c.back, err = ring.NewBack(mem, netif.CtrlSlotSize); err == nil {
		err = c.resume(resumed)
	}
	silent := false // after an event, until it is dealt with (XSA-332)
	for err == nil && ctx.Err() == nil {
		var done, more bool
		if done, err = c.step(); err != nil || done {
			continue
		}
		if more, err = c.back.Arm(1); err != nil || more {
			continue
		}
		if silent {
			err = c.port.Unmask()
		}
		if err == nil {
			err = c.port.Wait()
		}
		silent = true
	}
	if ctx.Err() != nil {
		return nil // which has closed the port
	}
	if errors.Is(err, ring.ErrRing) {
		return fmt.Errorf("control ring: %w", err)
	}
	return err
}

// resume shows the answer that an earlier process may have been writing when it was
// killed.
func (c *ctrlRing) resume(resumed bool) error {
	at := c.back.Answered()
	if resumed {
		if rsp, ok := c.journal.lost(at); ok {
			if ok, err := c.back.Next(nil); err != nil || !ok {
				return errors.Join(err, ring.ErrRing)
			}
			c.put(rsp)
		}
		_ = c.port.Notify() // it may not have come to that either
	}
	c.journal.start(c.back.Answered())
	return nil
}

// step answers one request, or reports false when there is none. The settings are in
// the journal before the answer is: a request whose answer is not in there is done once
// more by the next process, to the same effect.
func (c *ctrlRing) step() (bool, error) {
	var b [netif.CtrlSlotSize]byte
	if ok, err := c.back.Next(b[:]); err != nil || !ok {
		return false, err
	}
	next, rsp, err := c.now.answer(netif.ParseCtrlRequest(b[:]), len(c.vif.queues), c.fetch)
	if err != nil {
		return false, err
	}
	if next != c.now {
		c.journal.keep(next)
		c.now = next
		c.vif.use(next)
	}
	c.journal.note(c.back.Answered(), rsp)
	c.put(rsp)
	return true, nil
}

// put shows one answer. An event that cannot be sent is the guest's loss.
func (c *ctrlRing) put(rsp netif.CtrlResponse) {
	var b [netif.CtrlSlotSize]byte
	rsp.Put(b[:])
	c.back.Put(b[:])
	if c.back.Publish() {
		_ = c.port.Notify()
	}
}

// fetch is the fetcher of the guest's pages.
func (c *ctrlRing) fetch(ref abi.GrantRef, n int) ([]byte, bool, error) {
	c.batch.Reset()
	c.batch.Ops = append(c.batch.Ops, gnttab.Op{Grant: gnttab.Grant{Dom: c.vif.dom, Ref: ref}, Local: c.arena[:n:n]})
	if err := c.batch.Run(); err != nil {
		return nil, false, err
	}
	return c.arena[:n], c.batch.Ops[0].Status == abi.GrantOK, nil
}
