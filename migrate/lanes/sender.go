package lanes

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// Dial makes another connection to the receiver. It returns when ctx ends.
type Dial func(ctx context.Context) (net.Conn, error)

// Sender spreads a byte stream over connections. Writes of whole pages are taken for
// pages, as by transport.Writer. Its methods are for one goroutine.
type Sender struct {
	o     Options
	dial  Dial
	lanes []*sendLane
	work  chan *chunk
	free  chan *chunk
	chunk *chunk // that is filled
	next  uint64 // its number
	total uint64

	ctx   context.Context // ends when the stream fails or is done
	end   context.CancelCauseFunc
	tasks sync.WaitGroup

	mu     sync.Mutex
	change sync.Cond // what mu guards, in lanes too
	err    error
	ended  bool // Close was called: when a lane has sent all it has, it is done
	closed bool
}

// chunk is a piece of the stream: some writes, one behind the other.
type chunk struct {
	number uint64
	end    bool
	writes []int // how long each was
	buf    []byte
}

// NewSender sends over conns, a lane each, which belong to it from here on; the
// receiver is welcomed on none of them yet. Dial makes another for one that is lost.
// When ctx ends, so does the stream, with its cause. Close has to be called.
func NewSender(ctx context.Context, o Options, dial Dial, conns []net.Conn) *Sender {
	o.defaults()
	s := &Sender{o: o, dial: dial, work: make(chan *chunk), free: make(chan *chunk, 2*len(conns)+1)}
	s.ctx, s.end = context.WithCancelCause(ctx)
	s.change.L = &s.mu
	for range cap(s.free) {
		s.free <- &chunk{buf: make([]byte, 0, chunkSize)}
	}
	for i, c := range conns {
		l := newSendLane(s, i)
		s.lanes = append(s.lanes, l)
		s.tasks.Add(2)
		go func() { defer s.tasks.Done(); l.pack() }()
		go func() { defer s.tasks.Done(); l.keep(c, len(conns)) }()
	}
	context.AfterFunc(s.ctx, func() { s.fail(context.Cause(s.ctx)) })
	return s
}

// Write takes b and keeps nothing of it. It blocks while all lanes have as much as
// they may have.
func (s *Sender) Write(b []byte) (n int, err error) {
	pages := len(b)%pageSize == 0
	for n < len(b) {
		if s.chunk == nil {
			if err := s.begin(); err != nil {
				return n, err
			}
		}
		room := chunkSize - len(s.chunk.buf)
		if pages {
			room -= room % pageSize
		}
		if room == 0 {
			if err := s.Flush(); err != nil {
				return n, err
			}
			continue
		}
		part := b[n:min(n+room, len(b))]
		s.chunk.buf = append(s.chunk.buf, part...)
		s.chunk.writes = append(s.chunk.writes, len(part))
		n += len(part)
		s.total += uint64(len(part))
	}
	return n, s.failure()
}

const pageSize = 4096

// Flush gives what waits to a lane.
func (s *Sender) Flush() error {
	if s.chunk == nil || len(s.chunk.buf) == 0 && !s.chunk.end {
		return s.failure()
	}
	select {
	case s.work <- s.chunk:
		s.chunk = nil
		return s.failure()
	case <-s.ctx.Done():
		return s.failure()
	}
}

// begin takes an empty chunk.
func (s *Sender) begin() error {
	select {
	case s.chunk = <-s.free:
		*s.chunk = chunk{number: s.next, buf: s.chunk.buf[:0], writes: s.chunk.writes[:0]}
		s.next++
		return s.failure()
	case <-s.ctx.Done():
		return s.failure()
	}
}

// Close sends what waits and the end, and waits until the receiver has everything;
// or, after a failure, only ends what runs. The error is that of the stream.
func (s *Sender) Close() error {
	err := s.finish()
	s.end(errClosed)
	s.tasks.Wait()
	return err
}

// Abandon ends the stream where it is.
func (s *Sender) Abandon() {
	s.end(errClosed)
	s.tasks.Wait()
}

var errClosed error = closed{}

type closed struct{}

func (closed) Error() string { return "the data connections are closed: " + io.ErrClosedPipe.Error() }
func (closed) Unwrap() error { return io.ErrClosedPipe }

func (s *Sender) finish() error {
	if s.closed {
		return s.failure()
	}
	s.closed = true
	if err := s.Flush(); err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return err
	}
	s.chunk.end, s.chunk.buf = true, le.AppendUint64(s.chunk.buf, s.total)
	if err := s.Flush(); err != nil {
		return err
	}
	close(s.work)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for _, l := range s.lanes {
		l.nudge()
		for s.err == nil && !l.done {
			s.change.Wait()
		}
	}
	return s.err
}

// Written is how many bytes went into frames so far.
func (s *Sender) Written() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lanes {
		n += l.written
	}
	return n
}

// Lanes is how many lanes there are.
func (s *Sender) Lanes() int { return len(s.lanes) }

// Reconnects is how many connections were lost and made anew.
func (s *Sender) Reconnects() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lanes {
		n += l.again
	}
	return n
}

// Fail ends the stream for a reason of the caller's. It may be called at any time.
func (s *Sender) Fail(err error) { s.fail(err) }

func (s *Sender) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// fail ends the stream. The first error is the one that counts.
func (s *Sender) fail(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.change.Broadcast()
	s.mu.Unlock()
	s.end(err)
}

// pause waits; false: the stream has ended.
func (s *Sender) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}
