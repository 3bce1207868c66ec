package lanes

import (
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Receiver gives back what a Sender was given. Read and Finish are for one goroutine,
// Attach and Close for any.
type Receiver struct {
	o     Options
	lanes []*recvLane
	tasks sync.WaitGroup // connections

	mu     sync.Mutex
	change sync.Cond // what mu guards, in lanes too
	err    error     // what ended the stream; io.EOF: it is complete
	next   uint64    // the chunk that is to be given out
	given  uint64    // bytes
	closed bool
	conns  map[net.Conn]bool // that Attach was called with

	lane  *recvLane // that chunk's, while it is given out
	chunk []byte    // what is left of it
}

// NewReceiver receives over so many lanes, of which none has a connection yet.
func NewReceiver(o Options, lanes int) *Receiver {
	o.defaults()
	r := &Receiver{o: o, conns: map[net.Conn]bool{}}
	r.change.L = &r.mu
	r.mu.Lock() // a timer may end before its lane is known
	defer r.mu.Unlock()
	for i := range lanes {
		l := &recvLane{r: r, number: i, heard: make(chan struct{}, 1)}
		l.missing = time.AfterFunc(o.Patience, l.giveUp)
		r.lanes = append(r.lanes, l)
	}
	return r
}

// Read implements io.Reader. Its end is io.EOF only after the end that a Sender sent.
// It blocks until the next chunk is there.
func (r *Receiver) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for len(r.chunk) == 0 {
		if err := r.more(); err != nil {
			return 0, err
		}
	}
	n := copy(b, r.chunk)
	r.chunk = r.chunk[n:]
	if len(r.chunk) == 0 {
		r.release()
	}
	return n, nil
}

// Finish waits for the end of the stream. It fails when something comes before that,
// which nobody has read.
func (r *Receiver) Finish() error {
	var b [1]byte
	n, err := r.Read(b[:])
	if n > 0 {
		err = fmt.Errorf("%w: more follows than belongs there", ErrPeer)
		r.fail(err)
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// release gives the room of a chunk back that was read.
func (r *Receiver) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lane
	l.free = append(l.free, l.ready[0].b)
	l.ready = l.ready[:copy(l.ready, l.ready[1:])]
	r.lane = nil
	r.change.Broadcast()
}

// more waits for the next chunk.
func (r *Receiver) more() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if r.err != nil {
			return r.err
		}
		ahead := 0
		for _, l := range r.lanes {
			if len(l.ready) == 0 {
				continue
			}
			if c := &l.ready[0]; c.number == r.next {
				return r.take(l, c)
			}
			ahead++
		}
		if ahead == len(r.lanes) {
			r.stop(fmt.Errorf("%w: no lane has chunk %d", ErrPeer, r.next))
			return r.err
		}
		r.change.Wait()
	}
}

// take begins to give out a chunk.
func (r *Receiver) take(l *recvLane, c *arrived) error {
	r.next++
	if c.end {
		if r.given != c.total {
			r.stop(fmt.Errorf("%w: %d bytes came, and %d were sent", ErrPeer, r.given, c.total))
		} else {
			r.stop(io.EOF)
		}
		return r.err
	}
	r.lane, r.chunk = l, c.b
	r.given += uint64(len(c.b))
	return nil
}

// Close ends all connections and waits until Attach has returned everywhere.
func (r *Receiver) Close() error {
	r.mu.Lock()
	r.closed = true
	r.stop(errClosed)
	for _, l := range r.lanes {
		l.missing.Stop()
	}
	for c := range r.conns {
		c.Close()
	}
	r.change.Broadcast()
	r.mu.Unlock()
	r.tasks.Wait()
	return nil
}

// stop ends the stream; the first reason is the one that counts. Connections stay
// after the end of a complete one: the sender has yet to hear of it.
func (r *Receiver) stop(err error) {
	if r.err != nil {
		return
	}
	r.err = err
	for _, l := range r.lanes {
		l.missing.Stop()
		if l.conn != nil && err != io.EOF {
			l.conn.Close()
		}
	}
	r.change.Broadcast()
}

// Fail ends the stream for a reason of the caller's, unless it is complete. It may be
// called at any time.
func (r *Receiver) Fail(err error) { r.fail(err) }

func (r *Receiver) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop(err)
}

// Attach receives over one connection, which it closes, until that is lost. It takes
// the place of an earlier connection of its lane. A connection of somebody else's is
// an error and changes nothing.
func (r *Receiver) Attach(conn net.Conn) error {
	defer conn.Close()
	if !r.admit(conn) {
		return errClosed
	}
	defer r.dismiss(conn)
	conn.SetDeadline(time.Now().Add(r.o.Stall))
	b := make([]byte, helloSize)
	if _, err := io.ReadFull(conn, b); err != nil {
		return fmt.Errorf("wait for the hello of a lane: %w", err)
	}
	h, err := parseHello(b)
	switch {
	case err != nil:
		return err
	case h.token != r.o.Token || h.lanes != len(r.lanes):
		return fmt.Errorf("%w: it belongs to another migration", ErrPeer)
	}
	return r.lanes[h.lane].serve(conn)
}

// admit has Close know of a connection; false: it is too late for one.
func (r *Receiver) admit(conn net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.tasks.Add(1)
	r.conns[conn] = true
	return true
}

func (r *Receiver) dismiss(conn net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, conn)
	r.tasks.Done()
}
