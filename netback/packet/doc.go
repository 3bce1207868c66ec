// Package packet turns slots of a network ring into Ethernet frames and back. It
// is pure: it reads bytes and values, and says what to copy where; the copying,
// the rings and the tap are the callers'.
//
// From the guest, a Tx collects the slots of one packet and judges them, and
// Offload says what the tap's header must say of the frame. To the guest, an Rx
// says how many slots a frame takes and what stands in each.
//
//	var tx packet.Tx
//	ok, err := tx.Read(ring) // err: the guest broke the protocol
//	for _, p := range tx.Pieces() {
//		// copy p.Len bytes from grant p.Ref at p.Offset
//	}
//	head, err := packet.Offload(frame, &tx) // err: drop it
//
// Everything that a guest sets is checked here: sizes, counts and offsets before
// anything is copied, headers before anything is computed from them.
package packet
