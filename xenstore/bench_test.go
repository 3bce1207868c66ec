package xenstore_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"goxl/xenstore"
	"goxl/xenstore/server"
)

// benchClient returns a client of a server in this process over a unix socket,
// which costs what a daemon's costs.
func benchClient(b *testing.B) *xenstore.Client {
	srv := server.New(server.Options{})
	b.Cleanup(func() { srv.Close() })
	socket := filepath.Join(b.TempDir(), "s")
	must(b, srv.Listen(socket))
	c, err := xenstore.Dial(b.Context(), xenstore.WithPath(socket))
	must(b, err)
	b.Cleanup(func() { c.Close() })
	return c
}

func perSecond(b *testing.B, requests int) {
	b.ReportMetric(float64(requests)*float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

func BenchmarkRead(b *testing.B) {
	c := benchClient(b)
	must(b, c.Write(b.Context(), "/local/domain/0/name", "Domain-0"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Read(b.Context(), "/local/domain/0/name"); err != nil {
			b.Fatal(err)
		}
	}
	perSecond(b, 1)
}

func BenchmarkWrite(b *testing.B) {
	c := benchClient(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Write(b.Context(), "/local/domain/0/state", "4"); err != nil {
			b.Fatal(err)
		}
	}
	perSecond(b, 1)
}

// BenchmarkDomainNodes writes as many nodes as libxl does for a domain, in one
// transaction: request by request, and as a batch.
func BenchmarkDomainNodes(b *testing.B) {
	const nodes = 60
	for _, batched := range []bool{false, true} {
		b.Run(fmt.Sprintf("batch=%v", batched), func(b *testing.B) {
			c := benchClient(b)
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Update(ctx, func(tx *xenstore.Tx) error {
					var batch xenstore.Batch
					for i := range nodes {
						path := fmt.Sprintf("/local/domain/7/node/%d", i)
						if batched {
							batch.Write(path, "value")
						} else if err := tx.Write(ctx, path, "value"); err != nil {
							return err
						}
					}
					return tx.Send(ctx, &batch)
				}); err != nil {
					b.Fatal(err)
				}
			}
			perSecond(b, nodes+2)
		})
	}
}

func BenchmarkConcurrentReads(b *testing.B) {
	c := benchClient(b)
	must(b, c.Write(b.Context(), "/v", "1"))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Read(b.Context(), "/v"); err != nil {
				b.Error(err)
				return
			}
		}
	})
	perSecond(b, 1)
}
