package netback

import "sync/atomic"

// counters are of one vif, in the guest's view: tx is what it sends.
type counters struct {
	txPackets, txBytes  atomic.Uint64
	txBad, txSpoofed    atomic.Uint64 // dropped: malformed or not copied; not the guest's address
	txRefused           atomic.Uint64 // dropped by the host
	rxPackets, rxBytes  atomic.Uint64
	rxUnfit, rxUncopied atomic.Uint64 // dropped: not acceptable to the frontend; grant refused
	rxFiltered          atomic.Uint64 // multicast nobody asked for
	rxStalled           atomic.Uint64 // dropped: the guest gave no pages in time
}

// Stats is what a vif has carried and dropped since its guest connected, in the
// guest's view. The kernel's counters of the interface have what was carried, too.
type Stats struct {
	TxPackets, TxBytes, TxDropped uint64
	RxPackets, RxBytes, RxDropped uint64
}

func (c *counters) stats() Stats {
	return Stats{
		TxPackets: c.txPackets.Load(), TxBytes: c.txBytes.Load(),
		TxDropped: c.txBad.Load() + c.txSpoofed.Load() + c.txRefused.Load(),
		RxPackets: c.rxPackets.Load(), RxBytes: c.rxBytes.Load(),
		RxDropped: c.rxUnfit.Load() + c.rxUncopied.Load() + c.rxFiltered.Load() + c.rxStalled.Load(),
	}
}
