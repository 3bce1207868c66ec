// Package tap makes network interfaces whose frames a program reads and writes: the
// host's side of a guest's vif.
//
// An interface outlives the program that made it, and keeps its place on a bridge
// and its settings, until it is removed. A tag tells whose it is, since hotplug
// scripts may give it another name. While no program has it attached it has no
// carrier. Bridges, addresses and MTU are the hotplug scripts' affair, as for the
// kernel's vifs; the kernel counts what passes (ip -s link), seen from the host.
//
//	dev, err := tap.Create("vif7.0", "netback 7/0")
//	…
//	queues, err := dev.Attach(2, tap.Offloads{Checksum: true, TCPv4: true})
//	n, err := queues[0].TryRead(buf) // a header of packet.VNetSize bytes, and a frame
//
// It needs CAP_NET_ADMIN and /dev/net/tun.
package tap

import "errors"

// MaxRead is how large a buffer for TryRead must be: a header and the largest frame.
// The kernel cuts off what does not fit.
const MaxRead = 66 << 10

// MaxQueues is how many queues an interface may have at a time.
const MaxQueues = 16

// ErrDown says that the interface is not up, so that a frame went nowhere.
var ErrDown = errors.New("interface is down")

// Offloads is what a reader of frames accepts, so that the kernel need not do it.
// There is none for UDP, which the network device's protocol does not know.
type Offloads struct {
	Checksum bool // frames whose checksum is to be completed
	TCPv4    bool // frames that stand for many segments; they need Checksum
	TCPv6    bool
}

// Stats is what the kernel counted, seen from the host: received is what the guest
// sent.
type Stats struct {
	RxPackets, RxBytes, RxDropped uint64
	TxPackets, TxBytes, TxDropped uint64
}
