// Package netif is the wire format of Xen's network device: the slots of the
// transmit, receive and control rings, as bytes and as values. It does no I/O and
// does not judge: what a guest may write is for the backend to decide.
//
// Transmit and receive are the guest's view, as in the protocol. Every Parse
// function takes one slot, or the start of one, and every Put function fills one;
// a slice that is too short is a programming mistake and panics.
//
//	req := netif.ParseTxRequest(slot)
//	if req.Flags&netif.TxExtraInfo != 0 {
//		extra := netif.ParseExtra(next)
//		…
//	}
//
// Source: xen/include/public/io/netif.h; the layouts are those of every release
// from 4.14 to 4.22, which the golden bytes in testdata hold.
package netif
