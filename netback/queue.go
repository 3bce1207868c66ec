package netback

import (
	"context"
	"errors"
	"runtime"
	"time"

	"goxl/backends"
)

// queue is a pair of rings and a stream of frames. One goroutine serves both ways, so
// that one wake-up is enough for a packet and for what the host answers it at once.
type queue struct {
	tap    tapQueue
	tx     txQueue
	rx     rxQueue
	txRing backends.Mapping
	rxRing backends.Mapping

	txLine, rxLine *line // may be the same
	bell           bell  // there is something in the inbox, or all ends
	eyes           poller
	turns          int // since it parked
}

// When a queue's goroutine has been woken, its thread may have been the one that waited
// for files and timers for all goroutines, and the runtime's watcher, which would find
// out, is asleep. So it lets the runtime have a look soon, and again and again.
const (
	soonTurns = 4
	moreTurns = 64
)

// run serves the rings until ctx ends, of which the bell tells, or something breaks.
func (q *queue) run(ctx context.Context, resumed bool) error {
	return q.txRing.With(func(tx []byte) error {
		return q.rxRing.With(func(rx []byte) error { return q.serve(ctx, tx, rx, resumed) })
	})
}

func (q *queue) serve(ctx context.Context, tx, rx []byte, resumed bool) error {
	err := q.tx.start(tx, resumed)
	if err == nil {
		err = q.rx.start(rx, resumed)
	}
	if err != nil {
		return err
	}
	for err == nil && ctx.Err() == nil {
		err = q.turn()
	}
	q.rx.end()
	if ctx.Err() == nil {
		return err
	}
	return errors.Join(err, q.tx.refuseHeld())
}

// turn carries a batch each way, or sleeps when there is none. The answers for what the
// guest sent come last, beside what the host answered it: the guest wakes up once.
func (q *queue) turn() error {
	if q.turns++; q.turns%moreTurns == soonTurns {
		runtime.Gosched()
	}
	sent, err := q.tx.step()
	got := false
	if err == nil {
		q.rx.look = q.rx.look || sent // the host's stack may have answered already
		got, err = q.rx.step()
	}
	q.tx.flush()
	if err != nil || sent || got {
		return err
	}
	return q.sleep()
}

// sleep waits for more to do. Only now the guest is asked for events: while there is
// work, its packets are found without.
func (q *queue) sleep() error {
	txWants, txMore, err := q.tx.arm()
	if err != nil || txMore {
		return err
	}
	rxWants, rxMore, err := q.rx.arm()
	if err != nil || rxMore {
		return err
	}
	if err := q.open(txWants, rxWants); err != nil {
		return err
	}
	tap := q.tap.FD()
	if rxWants {
		tap = -1 // there is no room for its frames
	}
	q.eyes.watch(seesTap, tap)
	if err := q.eyes.wait(q.limit()); err != nil {
		return err
	}
	if q.eyes.parked {
		q.turns = 0
	}
	return q.see()
}

// open lets events come on the channels from which they are wanted.
func (q *queue) open(tx, rx bool) error {
	if tx {
		if err := q.txLine.open(); err != nil {
			return err
		}
	}
	if rx {
		return q.rxLine.open()
	}
	return nil
}

// limit is how long to sleep at most; zero is for ever.
func (q *queue) limit() time.Duration {
	a, b := q.tx.wait, q.rx.limit()
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// see looks what has ended a sleep.
func (q *queue) see() error {
	for i, l := range []*line{q.txLine, q.rxLine} {
		if q.eyes.ready(seesLine + i) {
			if err := l.take(); err != nil {
				return err
			}
		}
	}
	if q.eyes.ready(seesBell) {
		q.bell.hush()
		q.rx.look = true
	}
	if q.eyes.ready(seesTap) {
		q.rx.look = true
	}
	return nil
}

// watch makes the poller and tells it what there is to look at.
func (q *queue) watch() error {
	if err := q.bell.make(); err != nil {
		return err
	}
	if err := q.eyes.open(); err != nil {
		return err
	}
	q.eyes.watch(seesLine, q.txLine.port.FD())
	q.eyes.watch(seesLine+1, -1)
	if q.rxLine != q.txLine {
		q.eyes.watch(seesLine+1, q.rxLine.port.FD())
	}
	q.eyes.watch(seesBell, q.bell.FD())
	return nil
}

// close gives back what is the queue's. It may be called twice.
func (q *queue) close() error {
	return errors.Join(q.tap.Close(), freeArena(q.tx.arena), freeArena(q.rx.arena), q.rx.inbox.close(), q.eyes.close(), q.bell.close())
}
