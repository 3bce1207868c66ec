package hostile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"goxl/xenctrl/gnttab"
)

// PacketsNode is the node below the guest's directory that is there while the guest
// wants the host to send packets to everybody. All the time that would be too much for
// an emulated machine.
const PacketsNode = "device/" + vif0 + "/packets"

// withPackets makes a misdeed of one that needs packets that come.
func withPackets(do netMisdeed) func(context.Context, *guest) (string, error) {
	return withNet(func(ctx context.Context, v *vif) (said string, err error) {
		if err := v.g.store.Write(ctx, PacketsNode, "1"); err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, v.g.store.Rm(ctx, PacketsNode)) }()
		return do(ctx, v)
	})
}

// receive lends pages that cannot be written, and pages that can: a packet's bytes
// are in the page, and what is behind them is as it was.
func receive(_ context.Context, v *vif) (string, error) {
	ro, err := v.g.share(1, gnttab.ReadOnly)
	if err != nil {
		return "", err
	}
	defer ro.Close()
	refs := []gnttab.GrantRef{notGranted, ro.ref(0), 1<<32 - 1}
	if err := v.lend(len(refs), func(i int) gnttab.GrantRef { return refs[i] }); err != nil {
		return "", err
	}
	all, err := v.received(len(refs))
	if err != nil {
		return "", err
	}
	for i, r := range all {
		if r.Status >= 0 || r.ID != uint16(i) {
			return "", fmt.Errorf("page %d: answer %+v, want an error for %d", refs[i], r, i)
		}
	}
	if err := untouched(ro.b); err != nil {
		return "", err
	}
	at := dataPages - rxPages
	b := v.data.b[at*4096:]
	for i := range b {
		b[i] = canary
	}
	if err := v.lend(rxPages, func(i int) gnttab.GrantRef { return v.data.ref(at + i) }); err != nil {
		return "", err
	}
	if all, err = v.received(rxPages); err != nil {
		return "", err
	}
	for i, r := range all {
		page := b[i*4096 : (i+1)*4096]
		switch {
		case r.Status < 14 || r.Offset != 0 || int(r.Status) > len(page):
			return "", fmt.Errorf("packet %d: answer %+v", i, r)
		case string(page[:6]) == string(canaries[:6]):
			return "", fmt.Errorf("packet %d of %d bytes was not written", i, r.Status)
		}
		if err := untouched(page[r.Status:]); err != nil {
			return "", fmt.Errorf("behind packet %d of %d bytes: %w", i, r.Status, err)
		}
	}
	return fmt.Sprintf("%d refused, %d packets", len(refs), rxPages), v.works()
}

// receiveNothing lends no page while packets come.
func receiveNothing(_ context.Context, v *vif) (string, error) {
	for range 3 {
		time.Sleep(attack)
		if err := v.works(); err != nil {
			return "", err
		}
	}
	return "what it sends still goes", nil
}

// receiveRevoked fills the ring with pages and takes them back.
func receiveRevoked(_ context.Context, v *vif) (string, error) {
	failed := 0
	const rounds = 5
	for range rounds {
		p, err := v.g.share(8, gnttab.ReadWrite)
		if err != nil {
			return "", err
		}
		if err := v.lend(8, p.ref); err != nil {
			return "", err
		}
		if _, err := v.received(1); err != nil {
			return "", err
		}
		if err := p.Close(); err != nil {
			return "", err
		}
		all, err := v.received(7)
		if err != nil {
			return "", err
		}
		for _, r := range all {
			if r.Status < 0 {
				failed++
			}
		}
	}
	return fmt.Sprintf("%d of %d pages were gone", failed, 8*rounds), v.works()
}

func netNodeMisdeeds() []misdeed {
	return []misdeed{
		{"net/bad-nodes", netBadNodes},
		{"net/states", func(ctx context.Context, g *guest) (string, error) { return g.stateGames(ctx, vif0, g.netComesBack) }},
		{"net/nodes-change", breakNet(netNodesChange)},
		{"net/control-ring", breakNet(controlRing)},
	}
}

// netBadNodes announces what there is not.
func netBadNodes(ctx context.Context, g *guest) (said string, err error) {
	mem, err := g.share(2, gnttab.ReadWrite)
	if err != nil {
		return "", err
	}
	defer mem.Close()
	clear(mem.b)
	port, err := g.BindUnbound(domain0) // one that nobody has bound to
	if err != nil {
		return "", err
	}
	defer g.Unbind(port)
	tx, rx, good := text(mem.ref(0)), text(mem.ref(1)), text(port)
	rings := func(tx, rx, port string, more ...string) []string {
		return append([]string{"tx-ring-ref", tx, "rx-ring-ref", rx, "event-channel", port, "request-rx-copy", "1"}, more...)
	}
	all := []badNodes{
		{"nothing", nil},
		{"no request-rx-copy", []string{"tx-ring-ref", tx, "rx-ring-ref", rx, "event-channel", good}},
		{"request-rx-copy of words", []string{"tx-ring-ref", tx, "rx-ring-ref", rx, "event-channel", good, "request-rx-copy", "yes"}},
		{"words", rings("a", "b", "c")},
		{"one page for both", rings(tx, tx, good)},
		{"page not granted", rings(tx, text(notGranted), good)},
		{"beyond 32 bits", rings("99999999999", rx, good)},
		{"port not there", rings(tx, rx, "1000")},
		{"port beyond all", rings(tx, rx, "4294967295")},
		{"no queues", rings(tx, rx, good, "multi-queue-num-queues", "0")},
		{"too many queues", rings(tx, rx, good, "multi-queue-num-queues", "4294967295")},
		{"flag of words", rings(tx, rx, good, "feature-sg", "\xff\xfe")},
	}
	return g.refuseNodes(ctx, vif0, connected, all, g.netComesBack)
}

// netNodesChange writes nodes while connected.
func netNodesChange(ctx context.Context, v *vif) (string, error) {
	for n := range 100 {
		err := v.write(ctx, "tx-ring-ref", text(gnttab.GrantRef(n)), "request-multicast-control", []string{"0", "1", "x", "-5"}[n%4])
		if err != nil {
			return "", err
		}
	}
	if err := v.g.store.Rm(ctx, v.front+"/tx-ring-ref"); err != nil {
		return "", err
	}
	return "as connected", v.works()
}
