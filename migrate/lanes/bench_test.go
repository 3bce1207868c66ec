package lanes

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"
)

// loopback connects a Sender and a Receiver by TCP.
func loopback(t testing.TB, lanes int) (*Sender, *Receiver) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := NewReceiver(Options{}, lanes)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.Attach(c)
		}
	}()
	dial := func(context.Context) (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) }
	var conns []net.Conn
	for range lanes {
		c, err := dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	s := NewSender(t.Context(), Options{}, dial, conns)
	t.Cleanup(func() {
		s.Abandon()
		r.Close()
		l.Close()
	})
	return s, r
}

const benchPages = 4096 // 16 MiB

// across sends all of b and reads it.
func across(s *Sender, r *Receiver, b, to []byte) error {
	sent := make(chan error, 1)
	go func() {
		_, err := s.Write(b)
		if err == nil {
			err = s.Flush()
		}
		sent <- err
	}()
	if _, err := io.ReadFull(r, to); err != nil {
		return err
	}
	return <-sent
}

// TestNoAllocations holds the lanes to no garbage for any page, and to no more memory
// for more of them.
func TestNoAllocations(t *testing.T) {
	s, r := loopback(t, 2)
	b, to := memory(benchPages, 1), make([]byte, benchPages*pageSize)
	round := func() {
		if err := across(s, r, b, to); err != nil {
			t.Fatal(err)
		}
	}
	for range 8 { // until each frame and chunk has been as large as it gets
		round()
	}
	if n := testing.AllocsPerRun(10, round); n > benchPages/50 {
		t.Errorf("%v allocations for %d pages", n, benchPages)
	} else {
		t.Logf("%v allocations for %d pages", n, benchPages)
	}
}

func BenchmarkMemcpy(b *testing.B) {
	src := memory(benchPages, 1)
	dst := make([]byte, len(src))
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		copy(dst, src)
	}
}

func BenchmarkCarry(b *testing.B) {
	for _, lanes := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("%d lanes", lanes), func(b *testing.B) {
			s, r := loopback(b, lanes)
			src, dst := memory(benchPages, 1), make([]byte, benchPages*pageSize)
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				if err := across(s, r, src, dst); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
