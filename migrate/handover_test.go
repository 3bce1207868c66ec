package migrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/xenctrl/abi"
)

// ending is how a migration may end.
type ending struct {
	outcomes []Outcome
	here     string // of the source: "runs", "away" (suspended, under that name), "suspended", "gone"
	there    string // of the receiver: "runs", "paused", "nothing"
}

var (
	notBegun  = ending{[]Outcome{NotBegun}, "runs", "nothing"}
	stays     = ending{[]Outcome{StayedHere}, "runs", "nothing"}
	stuck     = ending{[]Outcome{NotResumed}, "suspended", "nothing"}
	unknown   = ending{[]Outcome{Undefined}, "away", "nothing"} // the window: one runs,
	unknownUp = ending{[]Outcome{Undefined}, "away", "runs"}    // or none does, and the source has all
	unknownIn = ending{[]Outcome{Undefined}, "away", "paused"}
	moves     = ending{[]Outcome{Moved}, "gone", "runs"}
	movesDirt = ending{[]Outcome{Moved}, "away", "runs"}
	movesHeld = ending{[]Outcome{Moved}, "gone", "paused"}
)

// migration is one with something that goes wrong.
type migration struct {
	name          string
	sent, got     message // by the sender, by the receiver: what happens to it
	how           how
	here, there   func(p *pair) // before it begins
	hereT, thereT string        // ctx is cancelled when a side says this
	own           error         // of the receiver's Own
	paused        bool
	want          ending
}

// pair is two hosts, and a guest on the first.
type pair struct {
	src, dst *world
	id       abi.DomID
	send     SendOptions
	sendCtx  context.Context // of the sender; nil: the test's
	receive  ReceiveOptions
	said     func(text string) // by the sender; nil: nobody listens

	here, there *dom0 // both hosts' blkback; nil: there is none
	disks       []moved
	received    error // what the receiver ended with
}

// failOn has hypercalls fail from here on.
func failOn(w *world, name string, times int) { w.xen.FailOn(name, 0, times, syscall.EPERM) }

// squat takes a name.
func squat(w *world, name string) {
	w.xen.AddDomain(9)
	w.must(w.store.Write(w.Context(), "/local/domain/9/name", name))
}

func unpauseFails(p *pair) { failOn(p.dst, "domctl/unpausedomain", 1) }

// manner is how a guest is sent, and the first and last thing of the stream then.
type manner struct {
	name       string
	save       SaveOptions
	begin, end message
	pieces     int // of the stream, at least
	direct     bool
	disks      bool
}

var manners = []manner{
	{"live", SaveOptions{Live: &Live{MaxRounds: 1}}, header, streamEnd, 30, false, false},
	{"quick", SaveOptions{}, header, streamEnd, 30, false, false},
	{"quick, packed", SaveOptions{Packed: true}, packedHeader, packedEnd, 4, false, false},
	{"live, directly", SaveOptions{Live: &Live{MaxRounds: 1}}, message{}, message{}, 0, true, false},
	{"live, with disks", SaveOptions{Live: &Live{MaxRounds: 1}}, header, streamEnd, 50, false, true},
}

// concerns reports whether what goes wrong does so where a guest that goes directly has
// not left the channel, or after that; the rest is tested where its connections are.
func (as manner) concerns(m migration) bool {
	if !as.direct {
		return true
	}
	for _, s := range []string{"header", "greeting is whole", "end of the stream", "piece", "source: resume fails in the save", "receiver: no domain", "receiver: too little",
		"receiver: the CPU", "receiver: vcpu", "receiver: its name", "receiver: called off in the beginning"} {
		if strings.HasPrefix(m.name, s) {
			return false
		}
	}
	return true
}

// migrations lists every step with everything that can happen to it.
func (as manner) migrations() (list []migration) {
	add := func(m migration) { list = append(list, m) }
	for _, way := range ways {
		h := way
		whole := strings.HasPrefix(h.name, "whole")
		pick := func(delivered, not ending) ending {
			if whole {
				return delivered
			}
			return not
		}
		add(migration{name: "greeting is " + h.name, got: greeting, how: h, want: pick(stays, notBegun)})
		if h.name == "garbled" { // in its middle is the configuration, of which nobody can tell
			h.deliver = func(b []byte) []byte { return append([]byte{b[0] ^ 4}, b[1:]...) }
		}
		add(migration{name: "header is " + h.name, sent: as.begin, how: h, want: stays})
		h = way
		add(migration{name: "end of the stream is " + h.name, sent: as.end, how: h, want: stays})
		add(migration{name: "ready is " + h.name, got: ready, how: h, want: pick(unknown, stays)})
		add(migration{name: "permission is " + h.name, sent: permission, how: h, want: pick(unknownUp, unknown)})
		add(migration{name: "report is " + h.name, got: report, how: h, want: pick(moves, unknownUp)})
		add(migration{name: "report of a failure is " + h.name, got: report, how: h, there: unpauseFails, want: unknown})
		add(migration{name: "permission given back is " + h.name, got: givenBack, how: h, there: unpauseFails, want: pick(stays, unknown)})
		if h.ends || as.save.Packed { // what a page holds nobody checks unless it is packed
			for n := 2; n < as.pieces; n += 3 {
				add(migration{name: fmt.Sprintf("piece %d of the stream is %s", n, h.name), sent: nth("piece", n), how: h, want: stays})
			}
		}
	}
	cut := how{"cut before the status", allButOne, true, false}
	flipped := how{"garbled in its status", func(b []byte) []byte { b = bytes.Clone(b); b[len(b)-1] ^= 4; return b }, false, false}
	for _, m := range []migration{
		{name: "nothing goes wrong", want: moves},
		{name: "it stays paused there", paused: true, want: movesHeld},
		{name: "report is cut before the status", got: report, how: cut, want: unknownUp},
		{name: "report is garbled in its status", got: report, how: flipped, want: unknownUp},
		{name: "report of a failure is cut before the status", got: report, how: cut, there: unpauseFails, want: unknown},
		{name: "source: suspend is refused by xenstore's guest", here: func(p *pair) { failOn(p.src, "domctl/getvcpucontext", 1) }, want: stays},
		{name: "source: page types fail", here: func(p *pair) { failOn(p.src, "domctl/getpageframeinfo3", 1) }, want: stays},
		{name: "source: the name is taken", here: func(p *pair) { squat(p.src, "guest"+awaySuffix) }, want: stays},
		{name: "source: resume fails after a garbled ready", got: ready, how: ways[5],
			here: func(p *pair) { failOn(p.src, "domctl/resumedomain", 1) }, want: stuck},
		{name: "source: resume fails in the save", sent: as.end, how: ways[1],
			here: func(p *pair) { failOn(p.src, "domctl/resumedomain", 1) }, want: stuck},
		{name: "source: what is left cannot be removed", here: func(p *pair) { failOn(p.src, "domctl/destroydomain", 9) }, want: movesDirt},
		{name: "receiver: no domain can be made", there: func(p *pair) { failOn(p.dst, "domctl/createdomain", 1) }, want: stays},
		{name: "receiver: too little memory", there: func(p *pair) { p.dst.xen.FailOn("memory_op/populate_physmap", 1, 1, syscall.ENOMEM) }, want: stays},
		{name: "receiver: the CPU does not fit", there: func(p *pair) { failOn(p.dst, "domctl/set_cpu_policy", 1) }, want: stays},
		{name: "receiver: vcpu refused", there: func(p *pair) { failOn(p.dst, "domctl/setvcpucontext", 1) }, want: stays},
		{name: "receiver: its name is taken", there: func(p *pair) { squat(p.dst, "guest"+incomingSuffix) }, want: stays},
		{name: "receiver: the guest's name is taken", there: func(p *pair) { squat(p.dst, "guest") }, want: stays},
		{name: "receiver: unpause fails", there: unpauseFails, want: stays},
		{name: "receiver: unpause fails, destroy too", there: func(p *pair) { unpauseFails(p); failOn(p.dst, "domctl/destroydomain", 9) }, want: unknownIn},
		{name: "receiver: the caller does not want it", own: errors.New("no"), want: stays},
		{name: "receiver: the caller's error has number 0", own: &domains.Error{Kind: domains.Leftovers, Op: "own"}, want: stays},
		{name: "source: called off while it is sent", here: func(p *pair) {
			ctx, cancel := context.WithCancel(p.src.Context())
			p.send.Progress = func(Progress) { cancel() }
			p.sendCtx = ctx
		}, want: stays},
		{name: "source: called off when all is there", hereT: "Target has acknowledged", want: moves},
		{name: "source: called off when permission is given", hereT: "Giving target permission", want: moves},
		{name: "source: called off when it has moved", hereT: "successful startup", want: moves},
		{name: "receiver: called off in the beginning", thereT: "Ready to receive", want: stays},
		{name: "receiver: called off when all is there", thereT: "Transfer complete", want: moves},
		{name: "receiver: called off when it has permission", thereT: "Got permission", want: moves},
	} {
		add(m)
	}
	if as.save.Live != nil {
		add(migration{name: "source: log-dirty fails", here: func(p *pair) { failOn(p.src, "domctl/shadow_op", 2) }, want: stays})
	}
	return list
}

// TestHandOver holds every migration to the rule: never do two run, and never is
// there no complete copy.
func TestHandOver(t *testing.T) {
	count := 0
	for _, as := range manners {
		t.Run(as.name, func(t *testing.T) {
			for _, m := range as.migrations() {
				if !as.concerns(m) {
					continue
				}
				count++
				t.Run(m.name, func(t *testing.T) { m.run(t, as) })
			}
		})
	}
	t.Logf("%d ways", count)
}

func (m migration) run(t *testing.T, as manner) {
	p := &pair{src: newWorld(t), dst: newWorld(t)}
	if as.disks {
		p.withDisks(t)
	}
	p.id = p.src.boot(config.TypePV, bootOptions{})
	want, memory := p.src.dump(p.id, false), p.src.memory(p.id)
	p.send.SaveOptions = as.save
	p.send.Timeline = new(Timeline)
	if as.direct {
		p.directly(t, 2)
	}
	if as.disks {
		p.going(t)
	}
	for _, f := range []func(*pair){m.here, m.there} {
		if f != nil {
			f(p)
		}
	}
	outcome, err := p.migrate(t, m)
	if err == nil && outcome != Moved {
		t.Error("no error")
	}
	t.Logf("outcome %d: %v", outcome, err)

	ok := false
	for _, o := range m.want.outcomes {
		ok = ok || o == outcome
	}
	if here := p.src.state(p.id); !ok || here != m.want.here {
		t.Errorf("outcome %d, the guest here: %s; want %v, %s", outcome, here, m.want.outcomes, m.want.here)
	}
	there := "nothing"
	var copied abi.DomID
	for _, id := range p.dst.xen.IDs() {
		if id != 9 {
			copied, there = id, p.dst.state(id)
		}
	}
	if there != m.want.there {
		t.Errorf("the guest there: %s, want %s", there, m.want.there)
	}
	p.holds(t, want, memory, copied)
	p.holdsDisks(t, there)
}

// holds checks the rule itself, and that nothing is left over.
func (p *pair) holds(t *testing.T, want, memory dump, copied abi.DomID) {
	t.Helper()
	if n := len(p.src.running()) + len(p.dst.running()); n > 1 {
		t.Errorf("%d copies run", n)
	}
	here, there := p.src.state(p.id), "nothing"
	if copied != 0 {
		there = p.dst.state(copied)
	}
	if here != "gone" {
		p.src.same(memory, p.src.memory(p.id))
	}
	switch here {
	case "runs":
		p.src.runs(p.id)
	case "gone", "away":
		if there == "runs" {
			p.dst.runs(copied)
		}
	}
	if there != "nothing" {
		p.dst.same(want, p.dst.dump(copied, true))
	} else if here == "gone" {
		t.Error("there is no copy any more")
	}
	if there == "nothing" && len(p.dst.xen.IDs()) == 0 {
		p.dst.nothing()
	}
}

// state says what a guest does.
func (w *world) state(id abi.DomID) string {
	d, ok := w.xen.Domain(id)
	name, _ := w.m.Name(w.Context(), id)
	switch {
	case !ok:
		return "gone"
	case d.Shutdown && (strings.HasSuffix(name, awaySuffix) || name == ""):
		return "away"
	case d.Shutdown:
		return "suspended"
	case d.Paused:
		return "paused"
	}
	return "runs"
}

// memory is what is in a PV guest's frames, but for its start info, which it
// changes itself.
func (w *world) memory(id abi.DomID) dump {
	out := dump{}
	v := w.view(id)
	for p, m := range v.p2m {
		if m != noEntry && m != v.start {
			out.put(fmt.Sprintf("page %#x", p), w.xen.ReadGuest(id, m<<abi.PageShift, abi.PageSize))
		}
	}
	return out
}

// migrate runs both sides to their ends. A side that returns hangs up.
func (p *pair) migrate(t *testing.T, m migration) (Outcome, error) {
	sender, receiver := link()
	sender.msg, receiver.msg, sender.how, receiver.how = m.sent, m.got, m.how, m.how
	cancelling := func(text string, cancel func()) func(string) {
		return func(said string) {
			if text != "" && strings.Contains(said, text) {
				cancel()
			}
		}
	}
	received := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		o := p.receive
		o.Paused, o.Say = m.paused, cancelling(m.thereT, cancel)
		o.Own = func(context.Context, abi.DomID) error { return m.own }
		_, err := Receive(ctx, p.dst.m, receiver, o)
		receiver.hangs()
		received <- err
	}()
	ctx := p.sendCtx
	if ctx == nil {
		ctx = t.Context()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	heard := cancelling(m.hereT, cancel)
	p.send.Say = func(text string) {
		heard(text)
		if p.said != nil {
			p.said(text)
		}
	}
	outcome, err := Send(ctx, p.src.m, p.id, sender, p.send)
	sender.hangs()
	p.received = <-received
	t.Logf("receiver: %v", p.received)
	if (m.sent.is != nil || m.got.is != nil) && !sender.hurt && !receiver.hurt {
		t.Error("what should go wrong did not")
	}
	return outcome, err
}
