package lanes

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"goxl/migrate/transport"
)

// recvLane is one lane of a Receiver. One goroutine at a time reads from its
// connection, and another says what has come.
type recvLane struct {
	r      *Receiver
	number int
	heard  chan struct{} // something came

	// Of the goroutine that reads.
	content  bytes.Reader
	packed   []byte // room for content
	unpacker io.Reader

	// Guarded by the Receiver's mu.
	conn    net.Conn
	closing bool        // another connection waits for this one to end
	missing *time.Timer // runs while there is none
	count   uint64      // frames that came
	last    uint64      // chunk, and one more
	ended   bool
	ready   []arrived
	free    [][]byte
}

// arrived is a chunk that came.
type arrived struct {
	number uint64
	b      []byte
	end    bool
	total  uint64
}

// giveUp ends the stream for want of a connection.
func (l *recvLane) giveUp() {
	l.r.fail(fmt.Errorf("lane %d: %w, and did not come back within %s", l.number, ErrLost, l.r.o.Patience))
}

// serve receives over a connection until that is lost.
func (l *recvLane) serve(conn net.Conn) error {
	have, err := l.enter(conn)
	if err != nil {
		return err
	}
	defer l.leave(conn)
	if _, err := conn.Write(appendWelcome(nil, have)); err != nil {
		return err
	}
	conn.SetDeadline(time.Time{})
	quit, told := make(chan struct{}), make(chan struct{})
	go func() { defer close(told); l.tell(conn, quit) }()
	err = l.receive(conn)
	close(quit)
	conn.Close()
	<-told
	if errors.Is(err, ErrPeer) || errors.Is(err, transport.ErrDamaged) {
		l.r.fail(fmt.Errorf("lane %d: %w", l.number, err))
	}
	return err
}

// enter takes the lane over from an earlier connection, and returns how many frames
// have come. The newest one is right: the sender makes one only when it gave up that
// before.
func (l *recvLane) enter(conn net.Conn) (have uint64, err error) {
	r := l.r
	r.mu.Lock()
	defer r.mu.Unlock()
	for l.conn != nil {
		if !l.closing {
			l.closing = true
			l.conn.Close()
			r.change.Broadcast()
		}
		r.change.Wait()
	}
	l.closing = false
	switch {
	case r.closed:
		return 0, errClosed
	case r.err != nil && r.err != io.EOF:
		return 0, r.err
	}
	l.conn = conn
	l.missing.Stop()
	return l.count, nil
}

func (l *recvLane) leave(conn net.Conn) {
	r := l.r
	r.mu.Lock()
	defer r.mu.Unlock()
	l.conn = nil
	if r.err == nil {
		l.missing.Reset(r.o.Patience)
	}
	r.change.Broadcast()
}

// tell says how many frames have come, whenever some did and now and then, so that
// the sender knows of a receiver that has much to do.
func (l *recvLane) tell(conn net.Conn, quit chan struct{}) {
	alive := time.NewTicker(l.r.o.Stall / 4)
	defer alive.Stop()
	b := make([]byte, ackSize)
	for {
		select {
		case <-l.heard:
		case <-alive.C:
		case <-quit:
			return
		}
		l.r.mu.Lock()
		le.PutUint64(b, l.count)
		l.r.mu.Unlock()
		conn.SetWriteDeadline(time.Now().Add(l.r.o.Stall))
		if _, err := conn.Write(b); err != nil {
			conn.Close()
			return
		}
	}
}

// receive takes frames until the connection is lost.
func (l *recvLane) receive(conn net.Conn) error {
	src := patient{conn, l.r.o.Stall}
	head := make([]byte, headerSize)
	for {
		if _, err := io.ReadFull(src, head); err != nil {
			return err
		}
		h, err := parseHeader(head)
		if err != nil {
			return err
		}
		if h.kind != kindAlive {
			if err := l.frame(src, h); err != nil {
				return err
			}
		}
		select {
		case l.heard <- struct{}{}:
		default:
		}
	}
}

// patient is a connection from which every Read may take so long.
type patient struct {
	net.Conn
	limit time.Duration
}

func (p patient) Read(b []byte) (int, error) {
	p.SetReadDeadline(time.Now().Add(p.limit))
	return p.Conn.Read(b)
}

// frame takes the frame that follows a header. It counts only when it is unpacked, so
// that it comes again when the connection is lost before.
func (l *recvLane) frame(src io.Reader, h header) error {
	if cap(l.packed) < h.length {
		l.packed = make([]byte, mostContent)
	}
	content := l.packed[:h.length]
	if _, err := io.ReadFull(src, content); err != nil {
		return err
	}
	buf, err := l.room(h)
	if err != nil {
		return err
	}
	c := arrived{number: h.chunk, b: buf[:h.plain], end: h.kind == kindEnd}
	if c.end {
		c.total = le.Uint64(content)
	} else if err := l.unpack(content, c.b); err != nil {
		return err
	}
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	l.ready = append(l.ready, c)
	l.count++
	l.last, l.ended = h.chunk+1, c.end
	l.r.change.Broadcast()
	return nil
}

// room waits until there is room for a chunk, and holds its frame to the order.
func (l *recvLane) room(h header) ([]byte, error) {
	r := l.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if h.number != l.count || h.chunk < l.last || l.ended {
		return nil, fmt.Errorf("%w: frame %d with chunk %d, after %d frames and chunk %d", ErrPeer, h.number, h.chunk, l.count, l.last)
	}
	for len(l.ready) >= mostReady && r.err == nil {
		if l.closing {
			return nil, net.ErrClosed
		}
		r.change.Wait()
	}
	if r.err != nil {
		return nil, r.err
	}
	if n := len(l.free); n > 0 {
		buf := l.free[n-1][:chunkSize]
		l.free = l.free[:n-1]
		return buf, nil
	}
	return make([]byte, chunkSize), nil
}

// unpack unpacks a frame's content, which has to make just the bytes of its chunk.
func (l *recvLane) unpack(content, to []byte) error {
	l.content.Reset(content)
	if l.unpacker == nil {
		plain, packed, err := transport.Detect(&l.content)
		if err != nil {
			return err
		}
		if packed == nil {
			return fmt.Errorf("%w: what the lane begins with is not packed", ErrPeer)
		}
		l.unpacker = plain
	}
	if _, err := io.ReadFull(l.unpacker, to); err != nil {
		return fmt.Errorf("%w: %w", ErrPeer, err)
	}
	if n := l.content.Len(); n > 0 {
		return fmt.Errorf("%w: %d bytes more than its chunk needs", ErrPeer, n)
	}
	return nil
}
