package disk

import (
	"fmt"
	"testing"
	"unsafe"

	"goxl/blkback/disk/disktest"
)

// pages is aligned memory, as the engine's is.
func pages(n int) []byte {
	b := make([]byte, n+4096)
	skip := -uintptr(unsafe.Pointer(&b[0])) & 4095
	return b[skip:][:n:n]
}

// benchDisks are disks of 64 MiB, with every cluster in place.
func benchDisks(b *testing.B) map[string]Disk {
	b.Helper()
	disktest.Need(b)
	const size = 64 << 20
	dir := disktest.Dir(b)
	disks := map[string]Disk{}
	for _, f := range []Format{Raw, QCOW2} {
		path := fmt.Sprintf("%s/disk.%s", dir, f)
		disktest.Img(b, "create", "-q", "-f", string(f), path, fmt.Sprint(size))
		d, _ := mustOpen(b, path, Options{Format: f})
		p := noise(1, 1<<20)
		for off := int64(0); off < size; off += int64(len(p)) {
			if _, err := d.WriteAt(p, off); err != nil {
				b.Fatal(err)
			}
		}
		disks[string(f)] = d
	}
	return disks
}

// BenchmarkRequest is the cost of one request where the data are in memory.
func BenchmarkRequest(b *testing.B) {
	for name, d := range benchDisks(b) {
		for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
			p := pages(size)
			for op, do := range map[string]func([]byte, int64) (int, error){"read": d.ReadAt, "write": d.WriteAt} {
				b.Run(fmt.Sprintf("%s/%s/%dKiB", name, op, size>>10), func(b *testing.B) {
					b.SetBytes(int64(size))
					b.ReportAllocs()
					off := int64(0)
					for b.Loop() {
						if _, err := do(p, off); err != nil {
							b.Fatal(err)
						}
						// Far apart, so that every request looks up another cluster.
						off = (off + 7<<20 + int64(size)) % (d.Size() - int64(size)) &^ 4095
					}
				})
			}
		}
	}
}

// BenchmarkParallel is the same with many requests in flight.
func BenchmarkParallel(b *testing.B) {
	for name, d := range benchDisks(b) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(4096)
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				p := pages(4096)
				for off := int64(0); pb.Next(); off = (off + 7<<20 + 4096) % (d.Size() - 4096) &^ 4095 {
					if _, err := d.ReadAt(p, off); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkAllocate is a guest filling an empty image.
func BenchmarkAllocate(b *testing.B) {
	disktest.Need(b)
	dir := disktest.Dir(b)
	for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			path := fmt.Sprintf("%s/fresh%d.qcow2", dir, size)
			disktest.Img(b, "create", "-q", "-f", "qcow2", path, "64G")
			d, _ := mustOpen(b, path, Options{Format: QCOW2})
			p := pages(size)
			b.SetBytes(int64(size))
			off := int64(0)
			for b.Loop() {
				if _, err := d.WriteAt(p, off); err != nil {
					b.Fatal(err)
				}
				if off += int64(size); off > 2<<30 { // the test's file system is memory
					b.StopTimer()
					if err := d.Discard(0, off); err != nil {
						b.Fatal(err)
					}
					d.Flush()
					off = 0
					b.StartTimer()
				}
			}
		})
	}
}

// Requests to mapped clusters must not allocate: 50 guests would keep the collector
// busy.
func TestNoAllocations(t *testing.T) {
	disktest.Need(t)
	dir := disktest.Dir(t)
	for _, f := range []Format{Raw, QCOW2} {
		path := dir + "/disk." + string(f)
		disktest.Img(t, "create", "-q", "-f", string(f), path, "4M")
		d, _ := mustOpen(t, path, Options{Format: f})
		p := pages(256 << 10)
		for off := int64(0); off < 4<<20; off += int64(len(p)) {
			if _, err := d.WriteAt(p, off); err != nil {
				t.Fatal(err)
			}
		}
		n := testing.AllocsPerRun(100, func() {
			if _, err := d.WriteAt(p, 128<<10); err != nil {
				t.Fatal(err)
			}
			if _, err := d.ReadAt(p, 512<<10); err != nil {
				t.Fatal(err)
			}
		})
		if n > 0 {
			t.Errorf("%s: %v allocations per request", f, n)
		}
	}
}
