package blkback

import (
	"math/bits"
	"sync/atomic"
	"time"

	"goxl/blkback/blkif"
)

// histogramBuckets is how many latencies are told apart: bucket n counts those below
// 2ⁿ microseconds, the last one all others.
const histogramBuckets = 24

// counters are one device's, counted by its queues and read by anyone.
type counters struct {
	ops      [numKinds]opCounters
	errors   atomic.Uint64 // requests that failed on the host's side
	refused  atomic.Uint64 // requests that the guest should not have made
	replayed atomic.Uint64 // requests of a killed process done once more
	notified atomic.Uint64 // events sent
	waited   atomic.Uint64 // times that no buffer was free
	stalled  atomic.Uint64 // tries of writes for which the host had no room
	inflight atomic.Int64
}

type opCounters struct {
	requests, bytes atomic.Uint64
	latency         [histogramBuckets]atomic.Uint64
}

// kind is an index to counters.
type kind uint8

const (
	kindRead kind = iota
	kindWrite
	kindFlush
	kindDiscard
	numKinds
)

func kindOf(op blkif.Op) kind {
	switch op {
	case blkif.Read:
		return kindRead
	case blkif.Discard:
		return kindDiscard
	case blkif.Flush, blkif.Barrier:
		return kindFlush
	}
	return kindWrite
}

func (c *counters) count(op blkif.Op, n int, took time.Duration) {
	o := &c.ops[kindOf(op)]
	o.requests.Add(1)
	o.bytes.Add(uint64(n))
	o.latency[min(bits.Len64(uint64(took.Microseconds())), histogramBuckets-1)].Add(1)
}

// OpStats counts the requests of one kind. Latency[n] counts those that took less than
// 2ⁿ microseconds and not less than half of it, the last one all longer ones, from
// the ring to the answer.
type OpStats struct {
	Requests uint64   `json:"requests"`
	Bytes    uint64   `json:"bytes"`
	Latency  []uint64 `json:"latency_us_log2"`
}

// Stats counts what a disk did since this process opened it.
type Stats struct {
	Dom      uint16  `json:"domain"`
	Dev      int     `json:"vdev"`
	Path     string  `json:"path"`
	Read     OpStats `json:"read"`
	Write    OpStats `json:"write"`
	Flush    OpStats `json:"flush"` // barriers, too
	Discard  OpStats `json:"discard"`
	Errors   uint64  `json:"errors"`        // the host's fault
	Refused  uint64  `json:"refused"`       // the guest's fault
	Replayed uint64  `json:"replayed"`      // done once more for a process that was killed
	Waited   uint64  `json:"buffer_waits"`  // times that no buffer was free
	Stalled  uint64  `json:"room_waits"`    // tries of writes for which the host had no room
	Notified uint64  `json:"notifications"` // events sent to the guest
	InFlight int64   `json:"in_flight"`
}

func (c *counters) snapshot() Stats {
	s := Stats{Errors: c.errors.Load(), Refused: c.refused.Load(), Replayed: c.replayed.Load(),
		Waited: c.waited.Load(), Stalled: c.stalled.Load(), Notified: c.notified.Load(), InFlight: c.inflight.Load()}
	for k, to := range map[kind]*OpStats{kindRead: &s.Read, kindWrite: &s.Write, kindFlush: &s.Flush, kindDiscard: &s.Discard} {
		o := &c.ops[k]
		*to = OpStats{Requests: o.requests.Load(), Bytes: o.bytes.Load(), Latency: make([]uint64, histogramBuckets)}
		for i := range o.latency {
			to.Latency[i] = o.latency[i].Load()
		}
	}
	return s
}
