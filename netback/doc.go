// Package netback serves the network interfaces of guests: it carries frames between
// the rings of a vif and a tap of the same name as the kernel's backend would give
// it, which hotplug scripts put on a bridge.
//
//	d, err := netback.New(netback.Options{StateDir: "/run/goxl/netback", Log: log})
//	…
//	m := backends.New(backends.Options{Store: store, Xen: backends.Host(), Kind: "vif", Driver: d})
//	err = m.Run(ctx)
//
// Transmit and receive are the guest's view. Each queue of a vif has one goroutine,
// which serves both directions in turn. It works in batches: all frames that are there
// are copied with one request to the hypervisor, and answered with one event at most. In
// steady state nothing is allocated.
//
// A guest that gives no pages for what it is sent has frames waiting for ten
// seconds; then they are dropped, and after a minute the interface loses its
// carrier. Until then the tap's own queue bounds them. A guest that breaks the rules
// of a ring loses its connection, and may connect again.
//
// When the daemon is killed, the interface stays, without a carrier, and a new daemon
// serves the same rings on. Frames that were just being sent may be sent twice; what
// the interface's queue had is dropped. The guest sees a pause.
package netback
