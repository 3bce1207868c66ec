package direct

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
)

// BenchmarkCarry takes random pages across in TLS, over the loopback interface.
func BenchmarkCarry(b *testing.B) {
	for _, streams := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("%d streams", streams), func(b *testing.B) {
			here, there := net.Pipe()
			defer here.Close()
			type accepted struct {
				r   *Receiver
				err error
			}
			done := make(chan accepted, 1)
			go func() {
				r, err := Accept(b.Context(), there, Options{Listen: "127.0.0.1"})
				done <- accepted{r, err}
			}()
			s, err := Invite(b.Context(), here, Options{Streams: streams})
			a := <-done
			if err != nil || a.err != nil || s == nil {
				b.Fatal(err, a.err)
			}
			defer a.r.Close()
			defer s.Abandon()
			src, dst := make([]byte, 16<<20), make([]byte, 16<<20)
			rand.NewChaCha8([32]byte{1}).Read(src)
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				sent := make(chan error, 1)
				go func() {
					_, err := s.Write(src)
					sent <- errors.Join(err, s.Flush())
				}()
				if _, err := io.ReadFull(a.r, dst); err != nil {
					b.Fatal(err)
				}
				if err := <-sent; err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
