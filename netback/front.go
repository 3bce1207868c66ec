package netback

import (
	"context"
	"fmt"

	"goxl/backends"
	"goxl/netback/packet"
	"goxl/xenctrl/abi"
)

// front is what a frontend wrote before it connected, checked.
type front struct {
	queues   []frontQueue
	ctrl     *frontCtrl // nil: has no control ring
	accepts  packet.Accepts
	rxNotify bool // sends events when it gives pages
}

// frontCtrl is a control ring.
type frontCtrl struct {
	ref  abi.GrantRef
	port abi.Port
}

// frontQueue is one pair of rings. Equal ports are one channel for both.
type frontQueue struct {
	txRef, rxRef   abi.GrantRef
	txPort, rxPort abi.Port
}

const (
	maxRef  = 1<<32 - 1
	maxPort = 1<<17 - 1 // Xen has no more
)

// readFront reads a frontend's nodes. What it may not have written is
// backends.ErrFrontend.
func readFront(ctx context.Context, l *backends.Link, maxQueues int) (*front, error) {
	k, err := l.Front(ctx, "multi-queue-num-queues", "request-rx-copy", "feature-rx-notify", "feature-sg",
		"feature-gso-tcpv4", "feature-gso-tcpv6", "feature-no-csum-offload", "feature-ipv6-csum-offload",
		"ctrl-ring-ref", "event-channel-ctrl")
	if err != nil {
		return nil, err
	}
	n, given, err := k.Uint("multi-queue-num-queues", 1, uint64(maxQueues))
	if err != nil {
		return nil, err
	}
	if !given {
		n = 1
	}
	f := &front{}
	var noChecksum, rxCopy bool
	for _, flag := range []struct {
		name string
		to   *bool
	}{
		{"request-rx-copy", &rxCopy}, {"feature-rx-notify", &f.rxNotify}, {"feature-sg", &f.accepts.SG},
		{"feature-gso-tcpv4", &f.accepts.GSOTCPv4}, {"feature-gso-tcpv6", &f.accepts.GSOTCPv6},
		{"feature-no-csum-offload", &noChecksum}, {"feature-ipv6-csum-offload", &f.accepts.ChecksumIPv6},
	} {
		if *flag.to, err = k.Flag(flag.name); err != nil {
			return nil, err
		}
	}
	if !rxCopy {
		return nil, fmt.Errorf("%w: request-rx-copy is not set, and there is no other way to receive", backends.ErrFrontend)
	}
	f.accepts.ChecksumIPv4 = !noChecksum
	f.accepts.GSOTCPv4 = f.accepts.GSOTCPv4 && f.accepts.SG && f.accepts.ChecksumIPv4
	f.accepts.GSOTCPv6 = f.accepts.GSOTCPv6 && f.accepts.SG && f.accepts.ChecksumIPv6
	for i := range int(n) {
		dir := ""
		if n > 1 {
			dir = fmt.Sprintf("queue-%d/", i)
		}
		q, err := readQueue(ctx, l, dir)
		if err != nil {
			return nil, err
		}
		f.queues = append(f.queues, q)
	}
	f.ctrl, err = readCtrl(k)
	return f, err
}

// readCtrl finds the control ring: none without its page, whatever else there is.
func readCtrl(k backends.Keys) (*frontCtrl, error) {
	ref, given, err := k.Uint("ctrl-ring-ref", 0, maxRef)
	if err != nil || !given {
		return nil, err
	}
	port, err := k.Need("event-channel-ctrl", 0, maxPort)
	if err != nil {
		return nil, err
	}
	return &frontCtrl{abi.GrantRef(ref), abi.Port(port)}, nil
}

func readQueue(ctx context.Context, l *backends.Link, dir string) (frontQueue, error) {
	k, err := l.Front(ctx, dir+"tx-ring-ref", dir+"rx-ring-ref", dir+"event-channel", dir+"event-channel-tx", dir+"event-channel-rx")
	if err != nil {
		return frontQueue{}, err
	}
	txPort, rxPort := dir+"event-channel-tx", dir+"event-channel-rx"
	_, tx := k[txPort]
	_, rx := k[rxPort]
	if !tx || !rx {
		txPort, rxPort = dir+"event-channel", dir+"event-channel"
	}
	var v [4]uint64
	for i, need := range []struct {
		name string
		max  uint64
	}{{dir + "tx-ring-ref", maxRef}, {dir + "rx-ring-ref", maxRef}, {txPort, maxPort}, {rxPort, maxPort}} {
		if v[i], err = k.Need(need.name, 0, need.max); err != nil {
			return frontQueue{}, err
		}
	}
	if v[0] == v[1] {
		return frontQueue{}, fmt.Errorf("%w: both rings in page %d", backends.ErrFrontend, v[0])
	}
	return frontQueue{abi.GrantRef(v[0]), abi.GrantRef(v[1]), abi.Port(v[2]), abi.Port(v[3])}, nil
}
