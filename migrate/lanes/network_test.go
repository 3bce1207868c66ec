package lanes

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// network connects a Sender and a Receiver in memory. Every write may be late, and
// one of them may be the last of its connection.
type network struct {
	r *Receiver

	mu      sync.Mutex
	writes  [2]int // by the sender, by the receiver
	cut     fault
	happens int        // how often it has
	late    *rand.Rand // nil: nothing is
	down    error      // why no connection can be made
	live    []net.Conn
	wires   []*wire
	tap     *bytes.Buffer // keeps what the sender writes, unless nil
	errs    []error       // what Attach returned
	tasks   sync.WaitGroup
}

// fault cuts a connection at the nth write of a side.
type fault struct {
	side, at  int
	delivered float64 // how much of that write arrives
	times     int     // at that write and so many others right after it
}

var errDown = errors.New("no route to host")

func (n *network) dial(context.Context) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down != nil {
		return nil, n.down
	}
	a, b := net.Pipe()
	n.live = append(n.live, a, b)
	there, here := &wire{Conn: b, n: n, side: 1}, &wire{Conn: a, n: n}
	n.wires = append(n.wires, here, there)
	n.tasks.Go(func() {
		err := n.r.Attach(there)
		n.mu.Lock()
		n.errs = append(n.errs, err)
		n.mu.Unlock()
	})
	return here, nil
}

// conns makes so many connections.
func (n *network) conns(t testing.TB, lanes int) (list []net.Conn) {
	for range lanes {
		c, err := n.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
	return list
}

// unplug cuts every connection, and lets none be made.
func (n *network) unplug(why error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = why
	for _, c := range n.live {
		c.Close()
	}
}

// swallow has all that is written from here on to the connections there are vanish.
func (n *network) swallow() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range n.wires {
		w.swallows = true
	}
}

// wire is one end of a connection.
type wire struct {
	net.Conn
	n        *network
	side     int
	swallows bool
}

func (w *wire) Write(b []byte) (int, error) {
	n := w.n
	n.mu.Lock()
	if w.swallows {
		n.mu.Unlock()
		return len(b), nil
	}
	if n.tap != nil && w.side == 0 {
		n.tap.Write(b)
	}
	n.writes[w.side]++
	at := n.writes[w.side]
	cut := n.cut.times > 0 && n.cut.side == w.side && at >= n.cut.at && at < n.cut.at+n.cut.times
	if cut {
		n.happens++
	}
	delay := time.Duration(0)
	if n.late != nil {
		delay = time.Duration(n.late.IntN(50)*n.late.IntN(50)) * time.Millisecond
	}
	n.mu.Unlock()
	if delay > 0 {
		time.Sleep(delay)
	}
	if !cut {
		return w.Conn.Write(b)
	}
	k := int(float64(len(b)) * n.cut.delivered)
	w.Conn.Write(b[:k])
	w.Conn.Close()
	return k, errDown
}
