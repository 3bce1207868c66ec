package hostile

import (
	"context"
	"errors"
	"fmt"

	"goxl/backends/ring"
	"goxl/netback/netif"
	"goxl/xenctrl/gnttab"
)

// controlRing connects once more with a control ring, asks for all kinds of nonsense,
// and breaks it. Each request gets an answer.
func controlRing(ctx context.Context, v *vif) (said string, err error) {
	if v.feature(ctx, "feature-ctrl-ring") == 0 {
		return "none is offered", nil
	}
	if err := v.reset(ctx); err != nil {
		return "", err
	}
	page, err := v.g.share(1, gnttab.ReadWrite)
	if err != nil {
		return "", err
	}
	defer page.Close()
	front, err := ring.NewFront(page.b, netif.CtrlSlotSize)
	if err != nil {
		return "", err
	}
	ports := [2]gnttab.Port{}
	for i := range ports {
		if ports[i], err = v.g.BindUnbound(domain0); err != nil {
			return "", err
		}
		defer v.g.Unbind(ports[i])
	}
	err = v.write(ctx, "tx-ring-ref", text(v.txMem.ref(0)), "rx-ring-ref", text(v.rxMem.ref(0)), "event-channel", text(ports[0]),
		"request-rx-copy", "1", "ctrl-ring-ref", text(page.ref(0)), "event-channel-ctrl", text(ports[1]), "state", connected)
	if err != nil {
		return "", err
	}
	if _, err := v.await(ctx, connected); err != nil {
		return "", err
	}
	numbers := []uint32{0, 1, 2, 4, 40, 127, 128, 129, 255, 4096, 1 << 16, 1 << 31, 1<<32 - 1, uint32(notGranted), uint32(v.data.ref(0))}
	pick := func() uint32 { return numbers[v.g.rand.IntN(len(numbers))] }
	counts := map[netif.CtrlStatus]int{}
	const requests = 500
	for i := range requests {
		var b [netif.CtrlSlotSize]byte
		kind := netif.CtrlType(v.g.rand.IntN(13))
		netif.CtrlRequest{ID: uint16(i), Type: kind, Data: [3]uint32{pick(), pick(), pick()}}.Put(b[:])
		front.Put(b[:])
		front.Publish()
		if err := v.g.Notify(ports[1]); err != nil {
			return "", err
		}
		var rsp [netif.CtrlSlotSize]byte
		if err := until("an answer on the control ring", func() (bool, error) { return front.Next(rsp[:]) }); err != nil {
			return "", err
		}
		r := netif.ParseCtrlResponse(rsp[:])
		if r.ID != uint16(i) || r.Type != kind || [4]byte(rsp[12:]) != [4]byte{} {
			return "", fmt.Errorf("request %d of kind %d is answered %+v, % x", i, kind, r, rsp[12:])
		}
		counts[r.Status]++
	}
	if counts[netif.CtrlInvalidParameter] == 0 || counts[netif.CtrlSuccess] == 0 {
		return "", fmt.Errorf("answers %v, want some of each kind", counts)
	}
	store(index(page, 0), load(index(page, 0))-1)
	if err := v.g.Notify(ports[1]); err != nil {
		return "", err
	}
	why, err := v.broken(ctx)
	return fmt.Sprintf("answers %v, then %s", counts, why), errors.Join(err, v.g.netComesBack(ctx, ""))
}
