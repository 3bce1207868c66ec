package ring

import "testing"

// BenchmarkRequest is one request and its response, both halves.
func BenchmarkRequest(b *testing.B) {
	back, front := pair(b, 1, BlkSlot)
	req, rsp := make([]byte, BlkSlot), make([]byte, 16)
	b.ReportAllocs()
	for b.Loop() {
		front.Put(req)
		front.Publish()
		if ok, err := back.Next(req); !ok || err != nil {
			b.Fatal(ok, err)
		}
		back.Put(rsp)
		back.Publish()
		if ok, err := front.Next(rsp); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
