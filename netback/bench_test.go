//go:build linux

package netback

import (
	"fmt"
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

// BenchmarkTx carries frames from a ring to a tap that takes all, 32 in a batch. What
// the hypervisor's copy and the host's stack cost is not in it.
func BenchmarkTx(b *testing.B) {
	for _, k := range kinds {
		b.Run(k.name, func(b *testing.B) {
			guest, back := pages(b)
			front, _ := ring.NewFront(guest, netif.TxSlotSize)
			q := newTx(b, testSession(), discard{}, back, make([]byte, journalQueue))
			template := tcpFrame(k.bytes)
			q.batch = copies(append(template, make([]byte, abi.PageSize)...)[:abi.PageSize])
			slots, pieces := txSlots(k.bytes, k.segment)
			const burst = 8
			rsp := make([]byte, 4)
			b.SetBytes(int64(k.bytes))
			b.ReportAllocs()
			for left := b.N; left > 0; left -= burst {
				for range burst {
					for i := range slots {
						front.Put(slots[i][:])
					}
				}
				front.Publish()
				for done := 0; done < burst; {
					n, _, err := q.collect()
					if err == nil {
						err = q.send(n)
					}
					if err != nil || n == 0 && !q.held {
						b.Fatal(n, err)
					}
					if q.held && n > 0 {
						q.pkt[0] = q.pkt[n]
					}
					done += n
				}
				for range burst * len(slots) {
					if ok, err := front.Next(rsp); !ok || err != nil {
						b.Fatal(ok, err)
					}
				}
			}
			perPage(b, pieces)
		})
	}
}

// txSlots are the slots of a frame, in pieces of a page.
func txSlots(n int, segment uint16) (slots [][netif.TxSlotSize]byte, pieces int) {
	for left := n; left > 0; left -= abi.PageSize {
		r := netif.TxRequest{Ref: 1, Size: uint16(min(left, abi.PageSize))}
		if left > abi.PageSize {
			r.Flags = netif.TxMoreData
		}
		if pieces == 0 {
			r.Size = uint16(n)
			r.Flags |= netif.TxChecksumBlank
			if segment > 0 {
				r.Flags |= netif.TxExtraInfo
			}
		}
		var s [netif.TxSlotSize]byte
		r.Put(s[:])
		slots = append(slots, s)
		if pieces == 0 && segment > 0 {
			e := netif.Extra{Type: netif.ExtraGSO, GSO: netif.GSOTCPv4, SegmentSize: segment}
			e.Put(s[:])
			slots = append(slots, s)
		}
		pieces++
	}
	return slots, pieces
}

func perPage(b *testing.B, pages int) {
	b.ReportMetric(float64(b.Elapsed())/float64(time.Nanosecond)/float64(max(b.N, 1)*pages), "ns/page")
}

// endless is a tap that always has the same frame, up to a number.
type endless struct {
	discard
	frame []byte
	left  int
}

func (e *endless) Read(b []byte) (int, error) { return e.TryRead(b) }

func (e *endless) TryRead(b []byte) (int, error) {
	if e.left == 0 {
		return 0, nil
	}
	e.left--
	return copy(b, e.frame), nil
}

// BenchmarkRx carries frames from a tap to a ring.
func BenchmarkRx(b *testing.B) {
	for _, k := range kinds {
		b.Run(k.name, func(b *testing.B) {
			guest, back := pages(b)
			front, _ := ring.NewFront(guest, netif.RxSlotSize)
			s := testSession()
			s.mcast = &packet.Multicast{}
			s.accepts = packet.Accepts{SG: true, ChecksumIPv4: true, ChecksumIPv6: true, GSOTCPv4: true, GSOTCPv6: true}
			head := packet.VNet{}
			if k.segment > 0 {
				head = packet.VNet{Flags: 1, GSOType: 1, HeaderLen: 54, SegmentSize: k.segment, ChecksumStart: 34, ChecksumOffset: 16}
			}
			in := &endless{frame: append(make([]byte, packet.VNetSize), tcpFrame(k.bytes)...)}
			head.Put(in.frame)
			q := &rxQueue{vif: s, tap: in, batch: copies(make([]byte, abi.PageSize)), waker: newWaker(&silent{}),
				arena: arena(b, rxArena), journal: newJournal(make([]byte, journalQueue), 0, true), wait: patient}
			var err error
			if q.back, err = ring.NewBack(back, netif.RxSlotSize); err != nil {
				b.Fatal(err)
			}
			rx, err := packet.NewRx(in.frame[packet.VNetSize:], head, s.accepts)
			if err != nil {
				b.Fatal(err)
			}
			const burst = 8
			req, ctx := make([]byte, netif.RxSlotSize), b.Context()
			b.SetBytes(int64(k.bytes))
			b.ReportAllocs()
			for left := b.N; left > 0; left -= burst {
				for range burst * rx.Slots() {
					front.Put(req)
				}
				front.Publish()
				for in.left = burst; in.left > 0; {
					n, err := q.fill()
					if err == nil {
						err = q.deliver(ctx, n)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
				for range burst * rx.Slots() {
					if ok, err := front.Next(req); !ok || err != nil {
						b.Fatal(ok, err)
					}
				}
			}
			perPage(b, (k.bytes+abi.PageSize-1)/abi.PageSize)
		})
	}
}

// TestSteadyStateAllocatesNothing is what the benchmarks report, as a test.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	for name, f := range map[string]func(*testing.B){"tx": BenchmarkTx, "rx": BenchmarkRx} {
		if n := testing.Benchmark(f).AllocsPerOp(); n > 0 {
			t.Errorf("%s: %s", name, fmt.Sprint(n, " allocations for a frame"))
		}
	}
}
