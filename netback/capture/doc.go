// Package capture records what passes a network interface, as a file that Wireshark
// and tcpdump read.
//
//	live, err := capture.Open("vif7.0", 0)
//	…
//	w, err := capture.NewWriter(file, capture.Interface{Name: "vif7.0", MAC: mac})
//	for {
//		p, err := live.Next(ctx)
//		…
//		err = w.Packet(p)
//	}
//
// It works for every vif, whichever backend serves it. Frames are taken where the
// host's stack has them: one that stands for many segments is one frame, and a
// checksum that the hardware would complete is not complete yet.
package capture

import "time"

// DefaultSnap is how much of a frame is kept unless told otherwise: all of it.
const DefaultSnap = 256 << 10

// Packet is a frame that passed.
type Packet struct {
	Time      time.Time
	Data      []byte // what was kept of it; the capture's, until the next call
	Len       int    // what there was
	FromGuest bool   // else the host sent it
}
