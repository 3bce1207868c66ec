package netback

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"goxl/backends"
	"goxl/netback/packet"
	"goxl/netback/tap"
	"goxl/xenctrl/abi"
)

// tapQueue is one stream of frames of the interface, as tap.Queue has it.
type tapQueue interface {
	FD() int
	TryRead(b []byte) (int, error)
	Write(b []byte) error
	SetCarrier(on bool) error
	Close() error
}

// session is a vif's connection to its frontend.
type session struct {
	dom      abi.DomID
	accepts  packet.Accepts
	guard    packet.Guard
	mcast    *packet.Multicast
	rate     *bucket
	counters *counters
	resumed  bool // an earlier process served these rings

	queues  []*queue
	ctrl    *ctrlRing // nil: the guest has none
	journal []byte
	hash    atomic.Pointer[hashing] // nil: the host chooses the queues of frames

	mu      sync.Mutex
	stalled int // queues that do not want the carrier
}

// serve serves all queues until ctx ends or something breaks, and returns when
// nothing uses the rings any more.
func (s *session) serve(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	var wg sync.WaitGroup
	carry := func(run func() error) {
		wg.Go(func() {
			if err := run(); err != nil {
				cancel(err)
			}
		})
	}
	for _, q := range s.queues {
		carry(func() error { return q.run(ctx, s.resumed) })
	}
	if s.ctrl != nil {
		carry(func() error {
			return s.ctrl.page.With(func(mem []byte) error { return s.ctrl.run(ctx, mem, s.resumed) })
		})
	}
	<-ctx.Done()
	for _, q := range s.queues {
		q.bell.ring()
	}
	if s.ctrl != nil {
		_ = s.ctrl.port.Close()
	}
	wg.Wait()
	if parent.Err() != nil {
		return nil
	}
	return context.Cause(ctx)
}

// carrier counts the queues that have stalled: the interface has a carrier while
// there is none.
func (s *session) carrier(change int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.stalled
	s.stalled -= change
	if (was == 0) != (s.stalled == 0) {
		_ = s.queues[0].tap.SetCarrier(s.stalled == 0) // an old kernel cannot
	}
}

// close detaches from the interface and gives memory back. The rings and channels
// are the link's. It may be called twice.
func (s *session) close() error {
	var errs []error
	for _, q := range s.queues {
		errs = append(errs, q.close())
	}
	if s.ctrl != nil {
		errs = append(errs, freeArena(s.ctrl.arena))
	}
	errs = append(errs, freeArena(s.journal))
	s.queues, s.ctrl, s.journal = nil, nil, nil
	return errors.Join(errs...)
}

// connect maps the rings and binds the channels that f names, and makes a queue of
// each with one of the streams in taps, which are the session's from now on.
func (s *session) connect(l *backends.Link, f *front, taps []tapQueue, wait patience) error {
	for _, t := range taps {
		s.queues = append(s.queues, &queue{tap: t})
	}
	for i, fq := range f.queues {
		if err := s.connectQueue(l, i, fq, wait); err != nil {
			return err
		}
	}
	return s.connectCtrl(l, f)
}

// use has frames hashed as h says from now on.
func (s *session) use(h *hashing) {
	if !h.active() {
		h = nil
	}
	s.hash.Store(h)
}

func (s *session) connectQueue(l *backends.Link, i int, f frontQueue, wait patience) (err error) {
	q := s.queues[i]
	if q.txRing, err = l.Map(f.txRef); err != nil {
		return err
	}
	if q.rxRing, err = l.Map(f.rxRef); err != nil {
		return err
	}
	if err := q.bind(l, f); err != nil {
		return err
	}
	if err := q.watch(); err != nil {
		return err
	}
	q.tx = txQueue{vif: s, tap: q.tap, port: q.txLine.port, journal: newJournal(s.journal, i, false)}
	q.rx.connect(s, i, q.rxLine.port, wait)
	if q.tx.batch, err = l.NewBatch(); err != nil {
		return err
	}
	if q.rx.batch, err = l.NewBatch(); err != nil {
		return err
	}
	q.tx.batch.Quiet, q.rx.batch.Quiet = true, true
	if q.tx.arena, err = newArena(txArena); err != nil {
		return err
	}
	q.rx.arena, err = newArena(rxArena)
	return err
}

// bind connects to the event channels, or to the one, of f.
func (q *queue) bind(l *backends.Link, f frontQueue) error {
	tx, err := l.BindPolled(f.txPort)
	if err != nil {
		return err
	}
	q.txLine = &line{port: tx}
	q.rxLine = q.txLine
	if f.rxPort == f.txPort {
		return nil
	}
	rx, err := l.BindPolled(f.rxPort)
	if err != nil {
		return err
	}
	q.rxLine = &line{port: rx}
	return nil
}

// offloads is what the tap may leave to the guest. A tap knows one checksum offload
// for all protocols; what the guest does not take is completed in packet.NewRx.
func offloads(a packet.Accepts) tap.Offloads {
	return tap.Offloads{Checksum: a.ChecksumIPv4 || a.ChecksumIPv6, TCPv4: a.GSOTCPv4, TCPv6: a.GSOTCPv6}
}
