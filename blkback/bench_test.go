package blkback

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goxl/blkback/blkif"
	"goxl/blkback/disk"
)

// BenchmarkRing measures requests from the ring to a disk in memory and back: the
// backend's own cost, with copies by pread and pwrite instead of Xen. Both halves run
// in this process.
func BenchmarkRing(b *testing.B) {
	for _, size := range []int{4096, 128 << 10} {
		for _, depth := range []int{1, 32} {
			for _, op := range []blkif.Op{blkif.Read, blkif.Write} {
				name := map[blkif.Op]string{blkif.Read: "read", blkif.Write: "write"}[op]
				b.Run(fmt.Sprintf("%s/%dKiB/depth%d", name, size>>10, depth), func(b *testing.B) { benchRing(b, op, size, depth) })
			}
		}
	}
}

func benchRing(b *testing.B, op blkif.Op, size, depth int) {
	f, _, stop := serving(b, &memDisk{b: make([]byte, 16<<20)}, blkif.X86_64, 1)
	benchServed(b, f, stop, op, size, depth)
}

// BenchmarkDirect is the same with a raw file past the page cache: by workers, each of
// which has one request at the host at a time, and by the batch.
func BenchmarkDirect(b *testing.B) {
	for _, batch := range []bool{false, true} {
		for _, depth := range []int{1, 32} {
			for _, op := range []blkif.Op{blkif.Read, blkif.Write} {
				name := map[blkif.Op]string{blkif.Read: "read", blkif.Write: "write"}[op]
				b.Run(fmt.Sprintf("%s/4KiB/depth%d/batch=%t", name, depth, batch), func(b *testing.B) {
					d, _ := directDisk(b, 16<<20)
					if !batch {
						d = oneByOne{d}
					}
					f, _, stop := serving(b, d, blkif.X86_64, 1)
					benchServed(b, f, stop, op, 4096, depth)
				})
			}
		}
	}
}

// oneByOne hides what a disk is.
type oneByOne struct{ disk.Disk }

func benchServed(b *testing.B, f *frontRing, stop func() error, op blkif.Op, size, depth int) {
	b.Helper()
	pages := guestPages(f.g, size/4096)
	r := f.data(op, 0, whole(pages))
	rsp := make([]byte, 16)
	sent, seen := 0, 0
	step := func(total int) {
		for seen < total {
			for sent < total && sent-seen < depth {
				r.ID = uint64(sent)
				r.Sector = uint64(sent % 64 * size / 512 % (16 << 11))
				f.layout.Put(f.slot, &r, 0)
				f.ring.Put(f.slot)
				sent++
			}
			f.push()
			ok, err := f.ring.Next(rsp)
			if err != nil {
				b.Fatal(err)
			}
			if ok {
				if s := blkif.DecodeResponse(rsp).Status; s != blkif.OK {
					b.Fatal(s)
				}
				seen++
			} else if more, err := f.ring.Arm(1); err != nil {
				b.Fatal(err)
			} else if !more {
				<-f.port.Events()
			}
		}
	}
	step(1000) // until all buffers are there
	cpu := processorTime(b)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	step(1000 + b.N)
	b.StopTimer()
	b.ReportMetric(float64((processorTime(b)-cpu).Nanoseconds())/float64(b.N), "cpu-ns/op")
	if err := stop(); err != nil {
		b.Fatal(err)
	}
}

// processorTime is what this process has used.
func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
