//go:build linux

package netback

import (
	"testing"
	"time"

	"goxl/backends/ring"
	"goxl/netback/netif"
	"goxl/netback/packet"
	"goxl/xenctrl/abi"
)

// kinds are the frames that benchmarks carry.
var kinds = []struct {
	name    string
	bytes   int
	segment uint16
}{{"small", 60, 0}, {"full", 1514, 0}, {"64KiB", 65226, 1448}}

// burst is how many frames are in a ring at a time.
const burst = 8

// BenchmarkTx carries frames from a ring to a tap that takes all. What the
// hypervisor's copy and the host's stack cost is not in it.
func BenchmarkTx(b *testing.B) {
	for _, k := range kinds {
		b.Run(k.name, func(b *testing.B) { measure(b, k.bytes, carryTx(b, k.bytes, k.segment)) })
	}
}

// BenchmarkRx carries frames from a tap to a ring.
func BenchmarkRx(b *testing.B) {
	for _, k := range kinds {
		b.Run(k.name, func(b *testing.B) { measure(b, k.bytes, carryRx(b, k.bytes, k.segment)) })
	}
}

// measure times a function that carries a burst of frames.
func measure(b *testing.B, size int, carry func()) {
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= burst {
		carry()
	}
	pages := (size + abi.PageSize - 1) / abi.PageSize
	b.ReportMetric(float64(b.Elapsed())/float64(time.Nanosecond)/float64(max(b.N, 1)*pages), "ns/page")
}

// TestSteadyStateAllocatesNothing is what the benchmarks report, as a test.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	for _, k := range kinds {
		tx, rx := carryTx(t, k.bytes, k.segment), carryRx(t, k.bytes, k.segment)
		if a, b := testing.AllocsPerRun(50, tx), testing.AllocsPerRun(50, rx); a > 0 || b > 0 {
			t.Errorf("%s: %v allocations for %d frames from the guest, %v to it", k.name, a, burst, b)
		}
	}
}

func carryTx(t testing.TB, size int, segment uint16) func() {
	guest, back := pages(t)
	front, _ := ring.NewFront(guest, netif.TxSlotSize)
	q := newTx(t, testSession(), discard{}, back, make([]byte, journalQueue))
	q.batch = copies(append(tcpFrame(size), make([]byte, abi.PageSize)...)[:abi.PageSize])
	slots := txSlots(size, segment)
	rsp := make([]byte, 4)
	return func() {
		for range burst {
			for i := range slots {
				front.Put(slots[i][:])
			}
		}
		front.Publish()
		for done := 0; done < burst; {
			n, _, err := q.collect()
			if err == nil {
				err = sendAll(q, n)
			}
			if err != nil || n == 0 && !q.held {
				t.Fatal(n, err)
			}
			if q.held && n > 0 {
				q.pkt[0] = q.pkt[n]
			}
			done += n
		}
		for range burst * len(slots) {
			if ok, err := front.Next(rsp); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
	}
}

// txSlots are the slots of a frame, in pieces of a page.
func txSlots(n int, segment uint16) (slots [][netif.TxSlotSize]byte) {
	for left := n; left > 0; left -= abi.PageSize {
		r := netif.TxRequest{Ref: 1, Size: uint16(min(left, abi.PageSize))}
		if left > abi.PageSize {
			r.Flags = netif.TxMoreData
		}
		var s, extra [netif.TxSlotSize]byte
		if left == n {
			r.Size = uint16(n)
			r.Flags |= netif.TxChecksumBlank
		}
		if left == n && segment > 0 {
			r.Flags |= netif.TxExtraInfo
		}
		r.Put(s[:])
		slots = append(slots, s)
		if left == n && segment > 0 {
			e := netif.Extra{Type: netif.ExtraGSO, GSO: netif.GSOTCPv4, SegmentSize: segment}
			e.Put(extra[:])
			slots = append(slots, extra)
		}
	}
	return slots
}

// endless is a tap that always has the same frame, up to a number.
type endless struct {
	discard
	frame []byte
	left  int
}

func (e *endless) TryRead(b []byte) (int, error) {
	if e.left == 0 {
		return 0, nil
	}
	e.left--
	return copy(b, e.frame), nil
}

func carryRx(t testing.TB, size int, segment uint16) func() {
	guest, back := pages(t)
	front, _ := ring.NewFront(guest, netif.RxSlotSize)
	s := testSession()
	s.mcast = &packet.Multicast{}
	s.accepts = packet.Accepts{SG: true, ChecksumIPv4: true, ChecksumIPv6: true, GSOTCPv4: true, GSOTCPv6: true}
	head := packet.VNet{}
	if segment > 0 {
		head = packet.VNet{Flags: 1, GSOType: 1, HeaderLen: 54, SegmentSize: segment, ChecksumStart: 34, ChecksumOffset: 16}
	}
	in := &endless{frame: append(make([]byte, packet.VNetSize), tcpFrame(size)...)}
	head.Put(in.frame)
	q := &rxQueue{vif: s, tap: in, batch: copies(make([]byte, abi.PageSize)), port: &silent{},
		arena: arena(t, rxArena), journal: newJournal(make([]byte, journalQueue), 0, true), wait: patient}
	var err error
	if q.back, err = ring.NewBack(back, netif.RxSlotSize); err != nil {
		t.Fatal(err)
	}
	rx, err := packet.NewRx(in.frame[packet.VNetSize:], head, s.accepts)
	if err != nil {
		t.Fatal(err)
	}
	req := make([]byte, netif.RxSlotSize)
	return func() {
		for range burst * rx.Slots() {
			front.Put(req)
		}
		front.Publish()
		for in.left = burst; in.left > 0; {
			err := q.fill()
			if err == nil {
				err = q.deliver()
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		for range burst * rx.Slots() {
			if ok, err := front.Next(req); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
	}
}
