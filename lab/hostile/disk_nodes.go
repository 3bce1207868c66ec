package hostile

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"goxl/backends/ring"
	"goxl/xenctrl/gnttab"
)

// diskNodeMisdeeds are those in xenstore.
func diskNodeMisdeeds() []misdeed {
	return []misdeed{
		{"disk/bad-nodes", diskBadNodes},
		{"disk/states", func(ctx context.Context, g *guest) (string, error) { return g.stateGames(ctx, diskRW, g.diskComesBack) }},
		{"disk/nodes-change", breakDisk(diskRW, diskNodesChange)},
		{"disk/32-bit", breakDisk(diskRO, wrongLayout)},
		{"disk/ring-revoked", breakDisk(diskRW, ringRevoked)},
	}
}

// diskComesBack makes sure that a disk can still be used.
func (g *guest) diskComesBack(ctx context.Context, name string) error {
	_, err := withDisk(name, func(_ context.Context, d *disk) (string, error) { return "", d.works() })(ctx, g)
	return err
}

// diskBadNodes announces rings and ports that there are not, in words that are none.
func diskBadNodes(ctx context.Context, g *guest) (said string, err error) {
	p, err := g.share(2, gnttab.ReadWrite)
	if err != nil {
		return "", err
	}
	defer p.Close()
	ro, err := g.share(1, gnttab.ReadOnly)
	if err != nil {
		return "", err
	}
	defer ro.Close()
	port, err := g.BindUnbound(domain0)
	if err != nil {
		return "", err
	}
	defer g.Unbind(port)
	others, err := g.BindUnbound(1) // for a domain other than the backend's
	if err != nil {
		return "", err
	}
	defer g.Unbind(others)
	if _, err := ring.NewFront(p.b, ring.BlkSlot); err != nil {
		return "", err
	}
	ref, two, good := text(p.ref(0)), text(p.ref(1)), text(port)
	all := []badNodes{
		{"no ring", []string{"event-channel", good}},
		{"no port", []string{"ring-ref", ref}},
		{"nothing", nil},
		{"words", []string{"ring-ref", "one", "event-channel", "two"}},
		{"empty", []string{"ring-ref", "", "event-channel", ""}},
		{"negative", []string{"ring-ref", "-1", "event-channel", good}},
		{"hexadecimal", []string{"ring-ref", "0x10", "event-channel", good}},
		{"beyond 32 bits", []string{"ring-ref", "4294967296", "event-channel", good}},
		{"page not granted", []string{"ring-ref", text(notGranted), "event-channel", good}},
		{"page to read only", []string{"ring-ref", text(ro.ref(0)), "event-channel", good}},
		{"port 0", []string{"ring-ref", ref, "event-channel", "0"}},
		{"port not there", []string{"ring-ref", ref, "event-channel", "1000"}},
		{"port beyond all", []string{"ring-ref", ref, "event-channel", "4294967295"}},
		{"port of another domain", []string{"ring-ref", ref, "event-channel", text(others)}},
		{"long value", []string{"ring-ref", strings.Repeat("7", 1500), "event-channel", good}},
		{"bytes", []string{"ring-ref", "\x01\xff\xfe\n%s%n", "event-channel", good}},
		{"order 5", []string{"ring-page-order", "5", "ring-ref0", ref, "event-channel", good}},
		{"order 4294967295", []string{"ring-page-order", "4294967295", "ring-ref0", ref, "event-channel", good}},
		{"three pages", []string{"num-ring-pages", "3", "ring-ref0", ref, "ring-ref1", two, "event-channel", good}},
		{"pages missing", []string{"ring-page-order", "2", "ring-ref0", ref, "ring-ref1", two, "event-channel", good}},
		{"one page twice", []string{"ring-page-order", "1", "ring-ref0", ref, "ring-ref1", ref, "event-channel", good}},
		{"no queues", []string{"multi-queue-num-queues", "0", "ring-ref", ref, "event-channel", good}},
		{"too many queues", []string{"multi-queue-num-queues", "1000000", "ring-ref", ref, "event-channel", good}},
		{"queues missing", []string{"multi-queue-num-queues", "2", "queue-0/ring-ref", ref, "queue-0/event-channel", good}},
		{"queues share a page", []string{"multi-queue-num-queues", "2", "queue-0/ring-ref", ref, "queue-0/event-channel", good,
			"queue-1/ring-ref", ref, "queue-1/event-channel", good}},
		{"queues share a port", []string{"multi-queue-num-queues", "2", "queue-0/ring-ref", ref, "queue-0/event-channel", good,
			"queue-1/ring-ref", two, "queue-1/event-channel", good}},
		{"unknown layout", []string{"protocol", "vax-abi", "ring-ref", ref, "event-channel", good}},
	}
	return g.refuseNodes(ctx, diskRW, initialised, all, g.diskComesBack)
}

// badNodes are nodes that a backend must not accept.
type badNodes struct {
	name  string
	nodes []string // names and values in turn
}

// refuseNodes connects with each, and then as one should.
func (g *guest) refuseNodes(ctx context.Context, name, state string, all []badNodes, after func(context.Context, string) error) (string, error) {
	if err := errors.Join(g.dropDisk(name), g.dropNet()); err != nil {
		return "", err
	}
	d, err := g.device(ctx, name)
	if err != nil {
		return "", err
	}
	for _, b := range all {
		if err := d.reset(ctx); err != nil {
			return "", fmt.Errorf("before %s: %w", b.name, err)
		}
		if err := d.write(ctx, append(b.nodes, "state", state)...); err != nil {
			return "", fmt.Errorf("%s: %w", b.name, err)
		}
		if _, err := d.refused(ctx); err != nil {
			return "", fmt.Errorf("%s: %w", b.name, err)
		}
	}
	return fmt.Sprintf("%d connections refused", len(all)), after(ctx, name)
}

// stateGames writes states that do not follow from each other, as fast as it can, and
// what is no state.
func (g *guest) stateGames(ctx context.Context, name string, after func(context.Context, string) error) (string, error) {
	if err := errors.Join(g.dropDisk(name), g.dropNet()); err != nil {
		return "", err
	}
	d, err := g.device(ctx, name)
	if err != nil {
		return "", err
	}
	port, err := g.BindUnbound(domain0)
	if err != nil {
		return "", err
	}
	defer g.Unbind(port)
	p, err := g.share(2, gnttab.ReadWrite)
	if err != nil {
		return "", err
	}
	defer p.Close()
	clear(p.b)
	nodes := []string{"ring-ref", text(p.ref(0)), "tx-ring-ref", text(p.ref(0)), "rx-ring-ref", text(p.ref(1)),
		"event-channel", text(port), "request-rx-copy", "1"}
	if err := d.write(ctx, nodes...); err != nil {
		return "", err
	}
	states := []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "-1", "44", "", "four", strings.Repeat("4", 1000), "\x00\x04"}
	const rounds = 160
	for n := range rounds {
		s := states[g.rand.IntN(len(states))]
		if n%2 == 0 { // more often what connects and disconnects
			s = []string{initialising, initialised, connected, closed}[n/2%4]
		}
		if err := d.state(ctx, s); err != nil {
			return "", err
		}
	}
	if err := g.store.Rm(ctx, d.front+"/state"); err != nil {
		return "", err
	}
	if _, err := d.await(ctx, closed); err != nil {
		return "", fmt.Errorf("without a state: %w", err)
	}
	return strconv.Itoa(rounds) + " states", after(ctx, name)
}

// diskNodesChange writes other nodes while connected: they count no more.
func diskNodesChange(ctx context.Context, d *disk) (string, error) {
	err := d.write(ctx, "ring-ref", "1", "event-channel", "1", "protocol", "x86_32-abi", "multi-queue-num-queues", "9")
	if err != nil {
		return "", err
	}
	if err := d.works(); err != nil {
		return "", err
	}
	for n := range 100 {
		if err := d.write(ctx, "ring-ref", strconv.Itoa(n), "feature-persistent", strconv.Itoa(n)); err != nil {
			return "", err
		}
	}
	for _, n := range []string{"ring-ref", "event-channel", "protocol"} {
		if err := d.g.store.Rm(ctx, d.front+"/"+n); err != nil {
			return "", err
		}
	}
	return "as connected", d.works()
}

// wrongLayout says that it uses the layout of 32 bits, and uses that of 64.
func wrongLayout(ctx context.Context, d *disk) (said string, err error) {
	if err := d.reset(ctx); err != nil {
		return "", err
	}
	if d.ring, err = ring.NewFront(d.mem.b, ring.BlkSlot); err != nil {
		return "", err
	}
	port, err := d.g.BindUnbound(domain0)
	if err != nil {
		return "", err
	}
	defer d.g.Unbind(port)
	err = d.write(ctx, append(d.rings(), "event-channel", text(port), "protocol", "x86_32-abi", "state", initialised)...)
	if err != nil {
		return "", err
	}
	if _, err := d.await(ctx, connected); err != nil {
		return "", err
	}
	n := int(d.ring.Free())
	for i := range n {
		d.put(request(0, uint64(i), d.seg(0, 0, 7), d.seg(1, 0, 7)))
	}
	d.ring.Publish()
	if err := d.g.Notify(port); err != nil {
		return "", err
	}
	err = until("as many answers", func() (bool, error) { return load(d.index(2)) == uint32(n), nil })
	if err != nil {
		return "", err
	}
	if err := innocent(d.data.b, d.sectors); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d answers", n), nil
}

// ringRevoked takes the ring's page back while the backend has it mapped: Xen keeps it
// until the backend lets go.
func ringRevoked(ctx context.Context, d *disk) (string, error) {
	if err := d.works(); err != nil {
		return "", err
	}
	if err := d.mem.Close(); err != nil {
		return "", err
	}
	if err := d.g.Notify(d.port); err != nil {
		return "", err
	}
	if err := d.reset(ctx); err != nil {
		return "", err
	}
	return "the backend let go when asked", nil
}
