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
	Read(b []byte) (int, error)
	TryRead(b []byte) (int, error)
	Write(b []byte) error
	Interrupt() error
	Resume() error
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
	wakers  []*waker
	journal []byte
	hash    atomic.Pointer[hashing] // nil: the host chooses the queues of frames

	mu      sync.Mutex
	stalled int // queues that do not want the carrier
}

// queue is a pair of rings and a stream of frames.
type queue struct {
	tap    tapQueue
	tx     txQueue
	rx     rxQueue
	txRing backends.Mapping
	rxRing backends.Mapping
}

// serve serves all queues until ctx ends or something breaks, and returns when
// nothing uses the rings any more.
func (s *session) serve(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, w := range s.wakers {
		if !w.own {
			wg.Go(func() { w.run(ctx.Done()) })
		}
	}
	carry := func(ring backends.Mapping, run func(context.Context, []byte, bool) error) {
		wg.Go(func() {
			if err := ring.With(func(mem []byte) error { return run(ctx, mem, s.resumed) }); err != nil {
				cancel(err)
			}
		})
	}
	for _, q := range s.queues {
		carry(q.txRing, q.tx.run)
		carry(q.rxRing, q.rx.run)
	}
	if s.ctrl != nil {
		carry(s.ctrl.page, s.ctrl.run)
	}
	<-ctx.Done()
	for _, w := range s.wakers {
		_ = w.port.Close()
	}
	for _, q := range s.queues {
		_ = q.tap.Interrupt()
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
		errs = append(errs, q.tap.Close(), freeArena(q.tx.arena), freeArena(q.rx.arena), q.rx.inbox.close())
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
	txWaker, err := s.bind(l, f.txPort)
	if err != nil {
		return err
	}
	rxWaker := txWaker
	if f.rxPort != f.txPort {
		if rxWaker, err = s.bind(l, f.rxPort); err != nil {
			return err
		}
	}
	q.tx = txQueue{vif: s, tap: q.tap, waker: txWaker, journal: newJournal(s.journal, i, false)}
	if txWaker.own = txWaker != rxWaker; !txWaker.own {
		q.tx.kick = txWaker.listen()
	}
	q.rx.connect(s, i, rxWaker, wait)
	if q.tx.batch, err = l.NewBatch(); err != nil {
		return err
	}
	if q.rx.batch, err = l.NewBatch(); err != nil {
		return err
	}
	if q.tx.arena, err = newArena(txArena); err != nil {
		return err
	}
	q.rx.arena, err = newArena(rxArena)
	return err
}

func (s *session) bind(l *backends.Link, p abi.Port) (*waker, error) {
	c, err := l.Bind(p)
	if err != nil {
		return nil, err
	}
	w := newWaker(c)
	s.wakers = append(s.wakers, w)
	return w, nil
}

// offloads is what the tap may leave to the guest. A tap knows one checksum offload
// for all protocols; what the guest does not take is completed in packet.NewRx.
func offloads(a packet.Accepts) tap.Offloads {
	return tap.Offloads{Checksum: a.ChecksumIPv4 || a.ChecksumIPv6, TCPv4: a.GSOTCPv4, TCPv6: a.GSOTCPv6}
}
