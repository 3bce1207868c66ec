package disks

import (
	"os"
	"path/filepath"
	"testing"

	"goxl/migrate/stream"
)

// BenchmarkMove copies a disk of noise in memory: reading it from blkback, both checksums,
// writing it and reading it back, without the way between two hosts.
func BenchmarkMove(b *testing.B) {
	for _, format := range []string{"raw", "qcow2"} {
		b.Run(format, func(b *testing.B) {
			const size = 128 << 20
			b.SetBytes(size)
			s := serve(b, format, size)
			s.write(0, noise(1, size))
			dir, err := os.MkdirTemp("/dev/shm", "disks")
			if err != nil {
				dir = b.TempDir()
			}
			defer os.RemoveAll(dir)
			for b.Loop() {
				r := &Receiver{Targets: map[string]Target{"xvda": {filepath.Join(dir, "disk"), format}}}
				out := &Sender{Dir: s.dir, Disks: []Disk{{Disk: s.what, Name: "xvda"}}, Write: func(body stream.Body) error {
					_, err := r.Take(b.Context(), body)
					return err
				}}
				for _, step := range []func() error{
					func() error { return out.Open(b.Context()) }, func() error { return out.Converge(b.Context()) },
					func() error { return out.Finish(b.Context()) }, r.Publish, r.Discard,
				} {
					if err := step(); err != nil {
						b.Fatal(err)
					}
				}
				out.Close()
				awaitClosed(b, s)
			}
		})
	}
}
