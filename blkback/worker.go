package blkback

import (
	"context"
	"errors"
	"fmt"

	"goxl/blkback/blkif"
	"goxl/blkback/disk"
)

// hold is why a worker gave a request back that is not done.
type hold uint8

const (
	holdNone hold = iota
	holdRoom      // the host has no room for its data: to be tried again
	holdStop      // the queue stops: left to whoever comes next
)

// worker does requests until there are no more, each when the disk's policy lets it.
func (q *queue) worker(ctx context.Context) {
	for r := range q.work {
		q.perform(ctx, r)
		q.done <- r
		q.sleeper.wake()
	}
}

func (q *queue) perform(ctx context.Context, r *request) {
	if r.held == holdNone && q.gov.wait(ctx, r) != nil {
		r.held = holdStop
		return
	}
	q.do(r)
}

// do has the host do r.
func (q *queue) do(r *request) {
	err := transfer(q.disk, r)
	r.held = holdNone
	if q.gov.holds(r, err) {
		r.held = holdRoom
		return
	}
	switch {
	case err == nil:
		r.status = blkif.OK
	case errors.Is(err, errors.ErrUnsupported):
		r.status = blkif.Unsupported
	default:
		r.status, r.failed = blkif.Error, true
	}
}

// isAlone reports whether r is to be done by the queue's own goroutine: for a guest that
// waits for each request before it makes the next, and while the host is quick, each
// thread that has to be woken is time lost. A flush may take long, and what has limits
// waits for them.
func (q *queue) isAlone(r *request) bool {
	return q.alone > aloneAfter && q.running == 1 && q.gov.unlimited() && (r.Op == blkif.Read || r.Op == blkif.Write)
}

// doAlone does r. If others came meanwhile, or it took long (see respond), the next ones
// are begun without waiting for their ends.
func (q *queue) doAlone(r *request) {
	r.alone = true
	q.do(r)
	if n, err := q.ring.Ready(); n > 0 || err != nil {
		q.alone = 0
	}
	q.took(r)
}

// errFlush says that data were written and could not be made to last.
var errFlush = errors.New("flush")

// transfer does what r asks for.
func transfer(d disk.Disk, r *request) (err error) {
	off := int64(r.Sector) * blkif.SectorSize // checked against the disk's size
	if r.Op == blkif.Barrier {
		if err := flush(d); err != nil {
			return err
		}
	}
	switch r.Op {
	case blkif.Read:
		_, err = d.ReadAt(r.buf, off)
	case blkif.Write, blkif.Flush, blkif.Barrier:
		if r.n > 0 {
			_, err = d.WriteAt(r.buf, off)
		}
	case blkif.Discard:
		err = d.Discard(off, int64(r.Sectors)*blkif.SectorSize)
	}
	if err == nil && (r.Op == blkif.Flush || r.Op == blkif.Barrier && r.n > 0) {
		err = flush(d)
	}
	return err
}

func flush(d disk.Disk) error {
	if err := d.Flush(); err != nil {
		return fmt.Errorf("%w: %w", errFlush, err)
	}
	return nil
}

// unpark has all that waits for room tried again.
func (q *queue) unpark() {
	for _, r := range q.parked {
		q.hand(r)
	}
	q.parked = q.parked[:0]
}

// leave gives up what waits for room. Its entries stay in the journal.
func (q *queue) leave() {
	for _, r := range q.parked {
		q.drop(r)
	}
	q.parked = nil
}

// drop forgets a request that a worker had and that gets no answer from this process.
// From then on nothing is started: it could overtake a barrier that was dropped.
func (q *queue) drop(r *request) {
	q.running--
	q.left++
	q.stats.inflight.Add(-1)
	q.bufs.put(r.buf)
	r.buf = nil
}
