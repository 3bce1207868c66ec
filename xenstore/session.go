package xenstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"

	"goxl/xenstore/wire"
)

// request is one packet to be. Every operation's payload is a string, its NUL,
// and then bytes whose form depends on the operation.
type request struct {
	op   wire.Op
	tx   uint32
	path string
	body string
	raw  bool // the payload is body alone
}

func (r *request) size() int {
	if r.raw {
		return len(r.body)
	}
	return len(r.path) + 1 + len(r.body)
}

// check refuses what would break the framing. All else is the store's to judge.
func (r *request) check(limit int) error {
	if !r.raw && strings.IndexByte(r.path, 0) >= 0 {
		return r.fail(fmt.Errorf("NUL byte in the path: %w", syscall.EINVAL))
	}
	if n := r.size(); n > limit {
		return r.fail(fmt.Errorf("%d bytes in one request, at most %d: %w", n, limit, syscall.E2BIG))
	}
	return nil
}

func (r *request) appendTo(b []byte, id uint32) []byte {
	b = wire.AppendHeader(b, wire.Header{Op: r.op, ReqID: id, TxID: r.tx, Len: uint32(r.size())})
	if !r.raw {
		b = append(b, r.path...)
		b = append(b, 0)
	}
	return append(b, r.body...)
}

func (r *request) fail(err error) error { return &Error{r.op, r.path, err} }

// call is a request under way. Its fields belong to the session's mutex until
// the result was sent.
type call struct {
	op     wire.Op
	result chan result                     // room for the one result
	gone   bool                            // nobody waits any more
	late   func(payload []byte, err error) // sees the reply if gone
}

type result struct {
	payload []byte
	err     error
}

// session is one connection. A writer goroutine sends what is queued and a
// reader goroutine hands out replies and events, so that neither a slow store
// nor a slow caller holds up the others.
type session struct {
	conn   io.ReadWriteCloser
	device bool // the kernel's: one request at a time, header included in the 4096 bytes
	event  func(path, token string)

	mu     sync.Mutex
	out    []byte // packets to send
	calls  map[uint32]*call
	lastID uint32
	err    error // why the session ended

	wake    chan struct{} // the writer has work, or the session has ended
	replied chan struct{} // the device is ready for another request
	done    chan struct{} // both goroutines are gone and the owner knows
}

// newSession starts a session on conn, which it then owns. event is called by
// the reader goroutine for each watch event and must not block; ended is called
// once, after the last event.
func newSession(conn io.ReadWriteCloser, device bool, event func(path, token string), ended func(*session)) *session {
	s := &session{
		conn: conn, device: device, event: event,
		calls: make(map[uint32]*call), wake: make(chan struct{}, 1),
		replied: make(chan struct{}, 1), done: make(chan struct{}),
	}
	written := make(chan struct{})
	go func() { defer close(written); s.write() }()
	go func() {
		s.read()
		<-written
		ended(s)
		close(s.done)
	}()
	return s
}

// start queues r. It does not block.
func (s *session) start(r *request, c *call) error {
	limit := wire.MaxPayload
	if s.device {
		limit -= wire.HeaderSize
	}
	if err := r.check(limit); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return r.fail(s.err)
	}
	for {
		s.lastID++
		if _, busy := s.calls[s.lastID]; !busy && s.lastID != 0 {
			break
		}
	}
	c.op = r.op
	s.calls[s.lastID] = c
	s.out = r.appendTo(s.out, s.lastID)
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// wait returns the reply to c. When ctx ends first, the reply is discarded once
// it comes, after late has seen it.
func (s *session) wait(ctx context.Context, r *request, c *call, late func([]byte, error)) ([]byte, error) {
	select {
	case res := <-c.result:
		return s.finish(r, c, res)
	case <-ctx.Done():
	}
	s.mu.Lock()
	select {
	case res := <-c.result: // it came at the same moment
		s.mu.Unlock()
		return s.finish(r, c, res)
	default:
	}
	c.gone, c.late = true, late
	s.mu.Unlock()
	return nil, r.fail(context.Cause(ctx))
}

func (s *session) finish(r *request, c *call, res result) ([]byte, error) {
	putCall(c)
	if res.err != nil {
		return nil, r.fail(res.err)
	}
	return res.payload, nil
}

// roundTrip sends r and waits for its reply.
func (s *session) roundTrip(ctx context.Context, r *request, late func([]byte, error)) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, r.fail(context.Cause(ctx))
	}
	c := getCall()
	if err := s.start(r, c); err != nil {
		putCall(c)
		return nil, err
	}
	return s.wait(ctx, r, c, late)
}

// post sends r and discards the reply. It does not block.
func (s *session) post(r *request) {
	_ = s.start(r, &call{gone: true}) // an ended session has nothing to undo
}

// close ends the session and returns when its goroutines are gone. The caller
// holds no lock that ended takes.
func (s *session) close(why error) {
	s.fail(why)
	<-s.done
}

// fail ends the session: all calls return why.
func (s *session) fail(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.err = why
	for id, c := range s.calls {
		delete(s.calls, id)
		if !c.gone {
			c.result <- result{err: why}
		}
	}
	close(s.wake)
	s.conn.Close()
}

// cause returns why the session ended, nil while it lives.
func (s *session) cause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *session) write() {
	var b []byte
	for range s.wake {
		s.mu.Lock()
		b, s.out = s.out, b[:0]
		s.mu.Unlock()
		if err := s.send(b); err != nil {
			s.fail(fmt.Errorf("%w: %w", ErrLost, err))
			return
		}
		if cap(b) > 1<<20 {
			b = nil
		}
	}
}

// send writes whole packets. Linux keeps a request for its device in the buffer
// of the open file until a thread of its own has sent it, and lets the next
// write run over it: so that none is lost, each waits for the reply before.
func (s *session) send(b []byte) error {
	for s.device && len(b) > 0 {
		_, rest, err := wire.ParsePacket(b)
		if err != nil {
			return err
		}
		if _, err := s.conn.Write(b[:len(b)-len(rest)]); err != nil {
			return err
		}
		b = rest
		if _, ok := <-s.replied; !ok {
			return nil // the reader knows why
		}
	}
	if len(b) == 0 {
		return nil
	}
	_, err := s.conn.Write(b)
	return err
}

// maxReply bounds a reply. oxenstored sends long lists whole over its socket,
// though the protocol allows 4096 bytes.
const maxReply = 16 << 20

func (s *session) read() {
	defer close(s.replied)
	r := wire.NewReader(bufio.NewReaderSize(s.conn, 8192), maxReply)
	for {
		p, err := r.Next()
		switch {
		case errors.Is(err, wire.ErrTooLong):
			err = fmt.Errorf("%w: %w", ErrProtocol, err)
		case err != nil:
			err = fmt.Errorf("%w: %w", ErrLost, err)
		case p.Op == wire.OpWatchEvent:
			err = s.dispatch(p.Payload)
		default:
			err = s.reply(p)
		}
		if err != nil {
			s.fail(err)
			return
		}
	}
}

func (s *session) dispatch(payload []byte) error {
	path, rest, ok := wire.CutString(payload)
	token := wire.TrimNUL(rest)
	if !ok {
		return fmt.Errorf("%w: watch event without token", ErrProtocol)
	}
	s.event(path, token)
	return nil
}

// reply hands p to its caller. A reply nobody asked for is a violation.
func (s *session) reply(p wire.Packet) error {
	if s.device {
		select {
		case s.replied <- struct{}{}:
		default: // the violation is found below
		}
	}
	s.mu.Lock()
	c := s.calls[p.ReqID]
	delete(s.calls, p.ReqID)
	if c == nil || p.Op != c.op && p.Op != wire.OpError {
		defer s.mu.Unlock()
		if c != nil && !c.gone {
			c.result <- result{err: ErrProtocol}
		}
		return fmt.Errorf("%w: reply %q to request %d, which is not under way", ErrProtocol, p.Op, p.ReqID)
	}
	res := result{payload: p.Payload}
	if p.Op == wire.OpError {
		res = result{err: wire.ParseError(p.Payload)}
	}
	late := c.late
	if !c.gone {
		c.result <- res
		late = nil
	}
	s.mu.Unlock()
	if late != nil {
		late(res.payload, res.err)
	}
	return nil
}

var calls = sync.Pool{New: func() any { return &call{result: make(chan result, 1)} }}

func getCall() *call { return calls.Get().(*call) }

// putCall takes back a call whose result was received or that never started.
func putCall(c *call) { calls.Put(c) }
