//go:build linux

package netback

import (
	"context"
	"testing"

	"goxl/backends"
	"goxl/netback/netif"
	"goxl/netback/packet"
)

// TestMisbehaviour has one guest do each thing that it must not, while another one is
// served on; then the first behaves, and is served again.
func TestMisbehaviour(t *testing.T) {
	set := func(k, v string) shape { return shape{queues: 1, split: true, instead: map[string]string{k: v}} }
	without := func(k ...string) shape { return shape{queues: 1, split: true, without: k} }
	withCtrl := func(k, v string) shape {
		return shape{queues: 1, split: true, ctrl: true, instead: map[string]string{k: v}}
	}
	raw := func(r netif.TxRequest) func(*netfront) {
		return func(f *netfront) {
			b := make([]byte, netif.TxSlotSize)
			r.Put(b)
			f.queues[0].tx.Put(b)
			f.queues[0].pushTx()
		}
	}
	index := func(page func(*netfront) []byte, v byte) func(*netfront) {
		return func(f *netfront) {
			copy(page(f), []byte{v, v, v, v})
			f.queues[0].txPort.Notify()
			f.queues[0].rxPort.Notify()
			f.tap(0).send(packet.VNet{}, ethFrame(60, 1))
		}
	}
	tx := func(f *netfront) []byte { return f.queues[0].txPage.Bytes }
	rx := func(f *netfront) []byte { return f.queues[0].rxPage.Bytes }
	for _, tt := range []struct {
		name  string
		shape shape
		do    func(*netfront) // after connecting; nil: it must not get so far
	}{
		{"no tx ring", without("tx-ring-ref"), nil},
		{"no rx ring", without("rx-ring-ref"), nil},
		{"no events", without("event-channel-tx", "event-channel-rx"), nil},
		{"ring of letters", set("tx-ring-ref", "0x10"), nil},
		{"ring unknown", set("tx-ring-ref", "4000000000"), nil},
		{"ring too large a number", set("rx-ring-ref", "18446744073709551616"), nil},
		{"rings equal", set("rx-ring-ref", "9"), nil},
		{"port negative", set("event-channel-tx", "-1"), nil},
		{"port unknown", set("event-channel-rx", "77777"), nil},
		{"no queues", set("multi-queue-num-queues", "0"), nil},
		{"too many queues", set("multi-queue-num-queues", "5"), nil},
		{"queues without nodes", set("multi-queue-num-queues", "2"), nil},
		{"one port for two queues", shape{queues: 2, split: true, instead: map[string]string{
			"queue-0/event-channel-rx": "3", "queue-1/event-channel-rx": "3"}}, nil},
		{"queues not a number", set("multi-queue-num-queues", "two"), nil},
		{"feature not a number", set("feature-sg", "yes"), nil},
		{"no rx copy", without("request-rx-copy"), nil},
		{"control ring without events", shape{queues: 1, ctrl: true, without: []string{"event-channel-ctrl"}}, nil},
		{"control ring unknown", withCtrl("ctrl-ring-ref", "4000000000"), nil},
		{"control ring of letters", withCtrl("ctrl-ring-ref", "ring"), nil},
		{"control port unknown", withCtrl("event-channel-ctrl", "77777"), nil},
		{"control index jumps", shape{queues: 1, split: true, ctrl: true}, func(f *netfront) {
			copy(f.ctrl.page.Bytes, []byte{0x7f, 0x7f, 0x7f, 0x7f})
			f.ctrl.port.Notify()
		}},
		{"tx index jumps", plain, index(tx, 0x7f)},
		{"tx index of all bits", plain, index(tx, 0xff)},
		{"rx index jumps", plain, index(rx, 0x7f)},
		{"packet across its page", plain, raw(netif.TxRequest{Offset: 4095, Size: 60})},
		{"packet without its rest", plain, raw(netif.TxRequest{Size: 60, Flags: netif.TxMoreData})},
		{"extra info missing", plain, raw(netif.TxRequest{Size: 60, Flags: netif.TxExtraInfo})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, nil)
			good := backends.ID{Dom: 6, Dev: 0}
			h.add(good)
			h.add(vif0)
			g := h.connect(good, plain)
			f := h.front(vif0, tt.shape)
			f.write("state", "4")
			if tt.do != nil {
				h.Await(h.back(vif0, "state"), "4")
				tt.do(f)
			}
			h.Await(h.back(vif0, "state"), "5")
			exchange(t, g.queues[0], g.tap(0))
			f.write("state", "6")
			h.Await(h.back(vif0, "state"), "6")
			for _, k := range []string{"multi-queue-num-queues", "ctrl-ring-ref"} {
				_ = f.g.Store.Rm(context.Background(), backends.FrontPath("vif", vif0)+"/"+k)
			}
			f.write("state", "1")
			h.Await(h.back(vif0, "state"), "2")
			f = h.connect(vif0, plain)
			exchange(t, f.queues[0], f.tap(0))
		})
	}
}
