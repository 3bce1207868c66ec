//go:build linux

package tap

import "testing"

// BenchmarkQueue sends frames that the host's stack drops, since it has no use for
// their protocol, and looks for frames where there are none.
func BenchmarkQueue(b *testing.B) {
	ownNetwork(b)
	d := create(b, "vif7.9", "bench 7/9")
	up(b, "vif7.9")
	q := attach(b, d, 1, Offloads{Checksum: true})[0]
	out, in := append(make([]byte, 10), make([]byte, 60)...), make([]byte, MaxRead)
	b.Run("write", func(b *testing.B) { // a goroutine that no thread is tied to
		b.ReportAllocs()
		for b.Loop() {
			if err := q.Write(out); err != nil {
				b.Fatal(err)
			}
		}
	})
	for n := 1; n > 0; n, _ = q.TryRead(in) { // what the host has sent by itself
	}
	b.Run("read nothing", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := q.TryRead(in); err != nil {
				b.Fatal(err)
			}
		}
	})
}
