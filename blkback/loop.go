package blkback

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"goxl/blkback/blkif"
)

// serve serves the ring until ctx ends or the frontend breaks it, and returns when
// nothing runs any more.
func (q *queue) serve(ctx context.Context) error {
	return q.mem.With(func(b []byte) error {
		if err := q.attach(b); err != nil {
			return err
		}
		n := int(q.ring.Size())
		q.work, q.done = make(chan *request, n), make(chan *request, n)
		working, halt := context.WithCancel(ctx)
		defer halt()
		q.halt = halt
		if err := q.sleeper.open(q.port.FD(), q.openBatch(n), func() bool { return q.look(ctx) }); err != nil {
			return errors.Join(err, q.closeBatch())
		}
		var wg sync.WaitGroup
		for range q.workers {
			wg.Go(func() { q.worker(working) })
		}
		unwatch := context.AfterFunc(ctx, q.sleeper.wake)
		err := q.loop(ctx)
		unwatch()
		close(q.work)
		wg.Wait()
		err = errors.Join(err, q.closeBatch(), q.sleeper.close())
		q.bufs.trim()
		if q.scratch != nil {
			unmapPages(q.scratch)
		}
		return err
	})
}

func (q *queue) loop(ctx context.Context) error {
	defer func() { q.taken, q.waiting = nil, nil }()
	var settling []chan<- struct{}
	for {
		err := q.round()
		if err == nil && q.masked && !q.more { // only now may the guest send another
			q.masked, err = false, q.port.Unmask()
		}
		if err != nil {
			q.drain()
			return err
		}
		if q.stopping && (q.ring.Outstanding() == 0 || q.left > 0 && q.running == 0) {
			return nil
		}
		if len(settling) > 0 && !q.more && q.ring.Outstanding() == 0 {
			settling = told(settling)
		}
		if err := q.sleep(ctx); err != nil {
			q.drain()
			return err
		}
		select {
		case c := <-q.asked:
			settling = append(settling, c)
		default:
		}
		if !q.stopping && ctx.Err() != nil {
			q.stopping = true
			q.leave()
		}
	}
}

// look looks for anything to do, and takes the guest's event. It does not block.
func (q *queue) look(ctx context.Context) bool {
	if !q.masked && !q.deaf {
		q.masked, q.portErr = q.port.Take()
	}
	return q.masked || q.portErr != nil || len(q.done) > 0 || len(q.asked) > 0 || q.batchHasEnded() ||
		!q.stopping && ctx.Err() != nil
}

// sleep waits until there may be something to do for round, and takes what has ended.
func (q *queue) sleep(ctx context.Context) error {
	late := false
	if q.more {
		q.look(ctx)
	} else {
		var err error
		if late, err = q.sleeper.sleep(q.patience()); err != nil {
			return err
		}
	}
	if q.sleeper.looks > 1 { // it slept
		q.effort = 0
	} else if q.effort += baseEffort; q.effort > maxEffort { // events without requests, too
		q.breathe()
	}
	if q.portErr != nil {
		return q.portErr
	}
	for len(q.done) > 0 {
		q.took(<-q.done)
	}
	q.reap()
	if len(q.parked) > 0 {
		if q.clock() >= q.retry {
			q.retry = 0
			q.unpark()
		}
		return nil
	}
	q.retry = 0
	if late && !q.busy && q.ring.Outstanding() == 0 {
		q.bufs.trim()
	}
	q.busy = !late
	return nil
}

// breathe gives other goroutines a turn. The loop's system calls are such that Go's runtime
// does not hear of (see docs/speed.md), and it is the thread that waited for everybody's
// events which runs the loop. So the runtime must be told of a loop that goes on and on:
// one call that it is told of wakes its watcher, and another thread takes the waiting over.
func (q *queue) breathe() {
	q.effort = 0
	yield()
	runtime.Gosched()
}

// patience is how long to sleep when nothing comes. A queue that has nothing to do and
// nothing to give back sleeps without end.
func (q *queue) patience() time.Duration {
	switch {
	case len(q.parked) > 0:
		now := q.clock()
		if q.retry == 0 {
			q.retry = now + roomPause
		}
		return max(q.retry-now, 0)
	case q.ring.Outstanding() == 0 && q.bufs.total > 0:
		return idlePause
	}
	return forever
}

// took takes back a request that was performed.
func (q *queue) took(r *request) {
	switch {
	case r.held == holdNone:
		q.ended(r)
	case r.held == holdStop || q.stopping:
		q.drop(r)
	default:
		q.stats.stalled.Add(1)
		q.parked = append(q.parked, r)
	}
}

func (q *queue) ended(r *request) {
	q.running--
	q.stats.inflight.Add(-1)
	q.barrier = q.barrier && r.Op != blkif.Barrier
	q.ready = append(q.ready, r)
}

// drain waits for all that runs after the ring broke. The guest gets no answers: the
// indices mean nothing any more.
func (q *queue) drain() {
	q.halt()
	q.leave()
	q.stopping, q.deaf = true, true
	q.sleeper.ignorePort()
	for q.running > 0 {
		for len(q.done) > 0 {
			q.drop(<-q.done)
		}
		for r, _ := q.nextOfBatch(); r != nil; r, _ = q.nextOfBatch() {
			q.drop(r)
		}
		select {
		case <-q.asked: // who asks learns that the queue is over
		default:
		}
		if q.running > 0 {
			if _, err := q.sleeper.sleep(time.Second); err != nil {
				time.Sleep(time.Second)
			}
		}
	}
	for _, r := range q.ready {
		q.bufs.put(r.buf)
	}
	q.ready = nil
}
