package lanes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"goxl/migrate/transport"
)

// sendLane is one lane of a Sender. Two goroutines work on it: one packs chunks into
// frames, the other sends these and sees to the connection.
type sendLane struct {
	s      *Sender
	number int
	packer *transport.Writer
	frame  *frame        // that is packed
	wake   chan struct{} // there may be something to send
	told   []byte        // room for a frame without content

	// Guarded by the Sender's mu.
	kept    []*frame // that the receiver does not have, oldest first
	acked   uint64   // how many frames it has
	bytes   int      // in kept
	sent    uint64   // frames that went into the connection at hand or before, the one that goes now included
	writing *frame   // the one that goes now
	free    []*frame
	packed  bool // no more will be packed
	done    bool // all was sent, and the receiver has it
	written int64
	again   int
	lost    time.Time // when the connection was lost that nothing came across since
}

// frame is a header and content.
type frame struct{ b []byte }

func newSendLane(s *Sender, number int) *sendLane {
	l := &sendLane{s: s, number: number, wake: make(chan struct{}, 1), told: make([]byte, headerSize)}
	l.packer = transport.NewWriter(l)
	l.packer.Adapt()
	return l
}

// nudge has the lane look again what there is to do.
func (l *sendLane) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// pack makes frames of chunks until there are no more.
func (l *sendLane) pack() {
	defer func() {
		l.s.mu.Lock()
		l.packed = true
		l.s.mu.Unlock()
		l.nudge()
	}()
	for n := uint64(0); ; n++ {
		var c *chunk
		select {
		case c = <-l.s.work:
		case <-l.s.ctx.Done():
		}
		if c == nil {
			return
		}
		if !l.begin() {
			return
		}
		h := header{kind: kindChunk, plain: len(c.buf), number: n, chunk: c.number}
		if err := l.fill(&h, c); err != nil {
			l.s.fail(err)
			return
		}
		h.length = len(l.frame.b) - headerSize
		h.put(l.frame.b)
		l.s.free <- c
		l.add()
	}
}

// fill packs a chunk into the frame.
func (l *sendLane) fill(h *header, c *chunk) error {
	if c.end {
		h.kind, h.plain = kindEnd, 0
		l.frame.b = append(l.frame.b, c.buf...)
		return nil
	}
	rest := c.buf
	for _, n := range c.writes {
		if _, err := l.packer.Write(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return l.packer.Flush()
}

// noHeader is room for one.
var noHeader [headerSize]byte

// begin takes a frame.
func (l *sendLane) begin() bool {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.s.err != nil {
		return false
	}
	if n := len(l.free); n > 0 {
		l.frame, l.free = l.free[n-1], l.free[:n-1]
	} else {
		l.frame = new(frame)
	}
	l.frame.b = append(l.frame.b[:0], noHeader[:]...)
	return true
}

// Write is what the packer writes to. It waits until there is room for a frame, so
// that the packer learns how fast the connection is.
func (l *sendLane) Write(b []byte) (int, error) {
	l.s.mu.Lock()
	for l.bytes > mostKept && l.s.err == nil {
		l.s.change.Wait()
	}
	err := l.s.err
	l.s.mu.Unlock()
	if err != nil {
		return 0, err
	}
	l.frame.b = append(l.frame.b, b...)
	return len(b), nil
}

// add puts the frame behind those to be sent.
func (l *sendLane) add() {
	l.s.mu.Lock()
	l.kept = append(l.kept, l.frame)
	l.bytes += len(l.frame.b)
	l.written += int64(len(l.frame.b))
	l.s.mu.Unlock()
	l.frame = nil
	l.nudge()
}

// keep sends the lane's frames over a connection, and over another when that is lost.
func (l *sendLane) keep(conn net.Conn, lanes int) {
	for {
		err := l.use(conn, lanes)
		conn.Close()
		l.s.mu.Lock()
		done, over := l.done, l.s.err != nil
		l.s.change.Broadcast()
		if l.lost.IsZero() {
			l.lost = time.Now()
		}
		until := l.lost.Add(l.s.o.Patience)
		l.s.mu.Unlock()
		if done || over {
			return
		}
		if errors.Is(err, ErrPeer) {
			l.s.fail(err)
			return
		}
		if conn = l.redial(until, err); conn == nil {
			return
		}
	}
}

// redial makes another connection; nil: it could not, and the stream has ended.
func (l *sendLane) redial(until time.Time, cause error) net.Conn {
	ctx, cancel := context.WithDeadline(l.s.ctx, until)
	defer cancel()
	refused := 0
	for wait := l.s.o.Stall / 200; ; wait = min(2*wait, l.s.o.Stall/10) {
		if refused == mostRefused {
			l.s.fail(fmt.Errorf("lane %d: %w: %w", l.number, ErrLost, cause))
			return nil
		}
		if time.Now().After(until) {
			l.s.fail(fmt.Errorf("lane %d: %w for more than %s: %w", l.number, ErrLost, l.s.o.Patience, cause))
			return nil
		}
		if !l.s.pause(wait) {
			return nil
		}
		conn, err := l.s.dial(ctx)
		if err == nil {
			return conn
		}
		cause = err
		if errors.Is(err, ErrGone) {
			refused++
		} else {
			refused = 0
		}
	}
}

// mostRefused is how often in a row nobody may listen: for two seconds or so, in which
// a firewall may be loaded anew.
const mostRefused = 6

// use sends frames over one connection until that is lost or all was sent.
func (l *sendLane) use(conn net.Conn, lanes int) error {
	stop := context.AfterFunc(l.s.ctx, func() { conn.Close() })
	defer stop()
	if err := l.welcome(conn, lanes); err != nil {
		return err
	}
	heard := make(chan error, 1)
	go func() { heard <- l.listen(conn) }()
	err := l.send(conn, heard)
	conn.Close()
	if cause := <-heard; err == nil || !errors.Is(err, ErrPeer) && errors.Is(cause, ErrPeer) {
		err = cause
	}
	return err
}

// welcome finds out how much of the lane the receiver has.
func (l *sendLane) welcome(conn net.Conn, lanes int) error {
	conn.SetDeadline(time.Now().Add(l.s.o.Stall))
	if _, err := conn.Write(hello{l.s.o.Token, l.number, lanes}.append(nil)); err != nil {
		return err
	}
	b := make([]byte, welcomeSize)
	if _, err := io.ReadFull(conn, b); err != nil {
		return fmt.Errorf("wait for the receiver's welcome: %w", err)
	}
	conn.SetDeadline(time.Time{})
	have, err := parseWelcome(b)
	if err != nil {
		return err
	}
	if err := l.ack(have, true); err != nil {
		return err
	}
	l.nudge()
	return nil
}

// ack notes that the receiver has so many frames. A welcome has those sent anew that
// it does not have.
func (l *sendLane) ack(have uint64, anew bool) error {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if have < l.acked || have > l.sent {
		return fmt.Errorf("%w: it has %d frames of lane %d, of which %d to %d are possible", ErrPeer, have, l.number, l.acked, l.sent)
	}
	n := int(have - l.acked)
	for _, f := range l.kept[:n] {
		l.bytes -= len(f.b)
		if f != l.writing {
			l.free = append(l.free, f)
		}
	}
	l.kept = l.kept[:copy(l.kept, l.kept[n:])]
	l.acked = have
	if anew {
		if !l.lost.IsZero() {
			l.again++
		}
		l.sent = have
	}
	if n > 0 || len(l.kept) == 0 {
		l.lost = time.Time{}
	}
	if n > 0 {
		l.s.change.Broadcast()
	}
	return nil
}

// listen takes what the receiver says until the connection ends.
func (l *sendLane) listen(conn net.Conn) error {
	b := make([]byte, ackSize)
	for {
		conn.SetReadDeadline(time.Now().Add(l.s.o.Stall))
		_, err := io.ReadFull(conn, b)
		if err == nil {
			err = l.ack(le.Uint64(b), false)
		}
		if err != nil {
			conn.Close()
			return err
		}
		l.nudge()
	}
}

// send writes frames. Heard gets a value when the connection is lost; it is put back.
func (l *sendLane) send(conn net.Conn, heard chan error) error {
	alive := time.NewTicker(l.s.o.Stall / 4)
	defer alive.Stop()
	for {
		f, done := l.pending()
		if done {
			return nil
		}
		if f == nil {
			select {
			case <-l.wake:
				continue
			case err := <-heard:
				heard <- err
				return err
			case <-l.s.ctx.Done():
				return context.Cause(l.s.ctx)
			case <-alive.C:
				header{kind: kindAlive}.put(l.told)
				if _, err := conn.Write(l.told); err != nil {
					return err
				}
				continue
			}
		}
		_, err := conn.Write(f.b)
		l.wrote(f)
		if err != nil {
			return err
		}
	}
}

// wrote notes that a frame is not read any more.
func (l *sendLane) wrote(f *frame) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.writing = nil
	if len(l.kept) == 0 || l.acked >= l.sent { // the receiver was quicker than we
		l.free = append(l.free, f)
	}
}

// pending is the next frame to be sent, if there is one. Whatever the receiver says
// that it has, the frame is not used for another before wrote.
func (l *sendLane) pending() (f *frame, done bool) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.s.ended && l.packed && len(l.kept) == 0 {
		l.done = true
		l.s.change.Broadcast()
		return nil, true
	}
	if i := l.sent - l.acked; i < uint64(len(l.kept)) {
		l.writing = l.kept[i]
		l.sent++
		return l.writing, false
	}
	return nil, false
}
