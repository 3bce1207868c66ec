package lanes

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// memory is n pages, of which some are zero and some are the same.
func memory(n int, seed byte) []byte {
	b := make([]byte, n*pageSize)
	r := rand.NewChaCha8([32]byte{seed})
	for i := range n {
		p := b[i*pageSize : (i+1)*pageSize]
		switch i % 4 {
		case 0:
		case 1:
			copy(p, "the same")
		default:
			r.Read(p[:pageSize/2])
		}
	}
	return b
}

// both are the two sides, over a network.
type both struct {
	n *network
	s *Sender
	r *Receiver
}

func newBoth(t testing.TB, lanes int, n *network) *both {
	o := Options{Token: [TokenSize]byte{1, 2, 3}}
	b := &both{n: n, r: NewReceiver(o, lanes)}
	n.r = b.r
	b.s = NewSender(t.Context(), o, n.dial, n.conns(t, lanes))
	return b
}

// carry takes writes across, and returns what came and both errors.
func (b *both) carry(writes ...[]byte) (got []byte, sent, received error) {
	limit := time.AfterFunc(time.Hour, func() { panic("an hour is long enough") })
	defer limit.Stop()
	done := make(chan error)
	go func() {
		for _, w := range writes {
			if _, err := b.s.Write(w); err != nil {
				break
			}
		}
		done <- b.s.Close()
	}()
	got, received = io.ReadAll(b.r)
	if received != nil {
		b.r.Close()
	}
	sent = <-done
	b.r.Close()
	b.n.tasks.Wait()
	return got, sent, received
}

func TestCarry(t *testing.T) {
	for _, lanes := range []int{1, 2, 4, MostLanes} {
		for _, pages := range []int{0, 1, 256, 257, 1500} {
			t.Run(fmt.Sprintf("%d lanes, %d pages", lanes, pages), func(t *testing.T) {
				b := newBoth(t, lanes, &network{})
				m, head := memory(pages, 1), []byte("a header")
				got, sent, received := b.carry(head, m, head, m)
				if want := bytes.Join([][]byte{head, m, head, m}, nil); sent != nil || received != nil || !bytes.Equal(got, want) {
					t.Errorf("%v, %v, %d bytes of %d", sent, received, len(got), len(want))
				}
				if b.s.Reconnects() != 0 || pages > 1000 && lanes < 5 && b.s.Written() > int64(3*len(m)/2) {
					t.Errorf("%d reconnects, %d bytes", b.s.Reconnects(), b.s.Written())
				}
			})
		}
	}
}

// An older version of a page never comes after a newer one, nor a byte in another
// place, however late each connection is and wherever one of them is cut.
func TestOrderProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lanes := rapid.IntRange(1, 6).Draw(rt, "lanes")
		seed := rapid.Uint64().Draw(rt, "seed")
		cut := fault{side: rapid.IntRange(0, 1).Draw(rt, "side"), at: rapid.IntRange(1, 40).Draw(rt, "at"),
			delivered: rapid.SampledFrom([]float64{0, 0.5, 1}).Draw(rt, "delivered"), times: rapid.IntRange(0, 3).Draw(rt, "times")}
		rounds := rapid.IntRange(1, 5).Draw(rt, "rounds")
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			b := newBoth(t, lanes, &network{late: rand.New(rand.NewPCG(seed, 2)), cut: cut})
			var writes [][]byte
			for round := range rounds {
				pages := memory(1+random.IntN(150), byte(round))
				for i := range len(pages) / pageSize { // page i, version round
					binary.LittleEndian.PutUint32(pages[i*pageSize:], uint32(i+1))
					binary.LittleEndian.PutUint32(pages[i*pageSize+4:], uint32(round))
				}
				for rest := pages; len(rest) > 0; { // in writes of any size
					n := min(len(rest), (1+random.IntN(100))*pageSize)
					writes, rest = append(writes, rest[:n]), rest[n:]
				}
			}
			got, sent, received := b.carry(writes...)
			if sent != nil || received != nil || !bytes.Equal(got, bytes.Join(writes, nil)) {
				rt.Errorf("%v, %v, %d bytes", sent, received, len(got))
			}
			newest := map[uint32]uint32{}
			for ; len(got) > 0; got = got[pageSize:] {
				page, version := binary.LittleEndian.Uint32(got), binary.LittleEndian.Uint32(got[4:])
				if version < newest[page] {
					rt.Errorf("version %d of page %d comes after version %d", version, page, newest[page])
				}
				newest[page] = version
			}
		})
	})
}

// Wherever a connection is cut, once or again and again, everything arrives once.
func TestCutEverywhere(t *testing.T) {
	m := memory(520, 3)
	const lanes = 2
	total := 0
	for _, times := range []int{1, 3} {
		for side, who := range []string{"sender", "receiver"} {
			for _, delivered := range []float64{0, 0.5, 1} {
				for at := 1; ; at++ {
					reached := false
					t.Run(fmt.Sprintf("write %d of the %s, %.0f%% arrive, %d times", at, who, 100*delivered, times), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							b := newBoth(t, lanes, &network{cut: fault{side, at, delivered, times}})
							begin := time.Now()
							got, sent, received := b.carry(m)
							if sent != nil || received != nil || !bytes.Equal(got, m) {
								t.Errorf("%v, %v, %d bytes of %d", sent, received, len(got), len(m))
							}
							if took := time.Since(begin); took > 5*time.Second {
								t.Errorf("it took %s", took)
							}
							reached = b.n.happens > 0
							if n := b.s.Reconnects(); reached && side == 0 && delivered < 1 && n == 0 {
								t.Error("the connection was cut, and none was made anew")
							}
						})
					})
					if !reached || t.Failed() {
						break
					}
					total++
				}
			}
		}
	}
	if total < 60 {
		t.Errorf("only %d cuts", total)
	}
	t.Logf("%d cuts", total)
}

// A connection that does not come back ends the stream on both sides, in the time
// that was given and not before.
func TestLostForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoth(t, 3, &network{})
		b.s.Write(memory(100, 1))
		b.s.Flush()
		synctest.Wait()
		b.n.unplug(errDown)
		begin := time.Now()
		_, sent, received := b.carry()
		for who, err := range map[string]error{"sender": sent, "receiver": received} {
			if !errors.Is(err, ErrLost) {
				t.Errorf("%s: %v", who, err)
			}
		}
		if took := time.Since(begin); took < 30*time.Second || took > 35*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// A receiver that is gone does not come back, and the sender does not wait for it.
func TestReceiverGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoth(t, 2, &network{})
		b.s.Write(memory(10, 1))
		b.r.Close()
		b.n.unplug(ErrGone)
		begin := time.Now()
		err := b.s.Close()
		if took := time.Since(begin); !errors.Is(err, ErrLost) || !errors.Is(err, ErrGone) || took > 3*time.Second || took < time.Second {
			t.Errorf("%v after %s", err, took)
		}
		b.n.tasks.Wait()
	})
}

// A silent network counts as lost after a while, and the stream goes on over
// another connection; a receiver that is only slow does not.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoth(t, 2, &network{})
		m := memory(9000, 1)
		done := make(chan error)
		go func() {
			b.s.Write(m)
			done <- b.s.Close()
		}()
		time.Sleep(10 * time.Minute) // nobody reads
		if n := b.s.Reconnects(); n != 0 {
			t.Errorf("%d connections were made anew because the receiver is slow", n)
		}
		got, err := io.ReadAll(b.r)
		if sent := <-done; err != nil || sent != nil || !bytes.Equal(got, m) {
			t.Error(err, sent, len(got))
		}
		b.r.Close()
	})
	synctest.Test(t, func(t *testing.T) {
		b := newBoth(t, 2, &network{})
		m := memory(300, 1)
		b.s.Write(m)
		b.s.Flush()
		synctest.Wait()
		b.n.swallow()
		got, sent, received := b.carry(m)
		if sent != nil || received != nil || !bytes.Equal(got, append(m, m...)) || b.s.Reconnects() != 2 {
			t.Error(sent, received, len(got), b.s.Reconnects())
		}
	})
}

// What is called off ends at once, whatever waits.
func TestCalledOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		o := Options{}
		n.r = NewReceiver(o, 2)
		ctx, cancel := context.WithCancelCause(t.Context())
		s := NewSender(ctx, o, n.dial, n.conns(t, 2))
		why := errors.New("called off")
		time.AfterFunc(time.Second, func() { cancel(why) })
		_, err := s.Write(memory(30000, 1)) // nobody reads, and there is room for less
		if !errors.Is(err, why) {
			t.Error(err)
		}
		if err := s.Close(); !errors.Is(err, why) {
			t.Error(err)
		}
		n.r.Close()
		n.tasks.Wait()
		if _, err := n.r.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
			t.Error(err)
		}
	})
}
