package image

import (
	"os"
	"testing"
)

// BenchmarkUnpack unpacks the kernel named by GOXL_KERNEL, else a small one.
func BenchmarkUnpack(b *testing.B) {
	src := bzImage(payloads(b)["xz"])
	if name := os.Getenv("GOXL_KERNEL"); name != "" {
		var err error
		if src, err = os.ReadFile(name); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		out, err := Unpack(src, Limits{})
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(out)))
	}
}
