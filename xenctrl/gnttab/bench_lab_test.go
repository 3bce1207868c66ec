package gnttab_test

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"goxl/xenctrl/gnttab"
)

// BenchmarkFetch brings granted pages into our own memory, as a backend does with the
// data of a request, in the three ways that there are: copied by Xen; copied by us from a
// mapping that is kept ("persistent grants"); and mapped for just this. Run the test's
// program in dom0 with -test.bench.
func BenchmarkFetch(b *testing.B) {
	for _, pages := range []int{1, 11, 256} {
		for _, way := range []struct {
			name  string
			fetch func(b *testing.B, c *gnttab.Conn, s *gnttab.Shared, own []byte)
		}{{"copied by Xen", byXen}, {"kept mapped", kept}, {"mapped each time", eachTime}} {
			b.Run(fmt.Sprintf("%d pages/%s", pages, way.name), func(b *testing.B) {
				c, a := opened(b)
				s := share(b, a, pages, gnttab.ReadWrite)
				own, err := unix.Mmap(-1, 0, pages<<12, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
				if err != nil {
					b.Fatal(err)
				}
				defer unix.Munmap(own)
				clear(own) // so that its pages are there
				b.SetBytes(int64(len(own)))
				way.fetch(b, c, s, own)
			})
		}
	}
}

func byXen(b *testing.B, c *gnttab.Conn, s *gnttab.Shared, own []byte) {
	batch, err := c.NewBatch()
	if err != nil {
		b.Fatal(err)
	}
	refs := s.Refs()
	for b.Loop() {
		batch.Reset()
		for i, r := range refs {
			batch.Ops = append(batch.Ops, gnttab.Op{Grant: gnttab.Grant{Ref: r}, Local: own[i<<12:][:4096]})
		}
		if err := batch.Run(); err != nil {
			b.Fatal(err)
		}
		for i := range batch.Ops {
			if batch.Ops[i].Status != 0 {
				b.Fatal(batch.Ops[i].Status)
			}
		}
	}
}

func kept(b *testing.B, c *gnttab.Conn, s *gnttab.Shared, own []byte) {
	m, err := c.Map(0, s.Refs(), gnttab.ReadWrite)
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	if err := m.With(func(p []byte) error {
		for b.Loop() {
			for i := 0; i < len(p); i += 4096 { // pages of a request need not lie side by side
				copy(own[i:i+4096], p[i:])
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
}

func eachTime(b *testing.B, c *gnttab.Conn, s *gnttab.Shared, own []byte) {
	for b.Loop() {
		m, err := c.Map(0, s.Refs(), gnttab.ReadWrite)
		if err != nil {
			b.Fatal(err)
		}
		if err := m.With(func(p []byte) error { copy(own, p); return nil }); err != nil {
			b.Fatal(err)
		}
		if err := m.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
