package blkback

import (
	"goxl/blkback/blkif"
	"goxl/blkback/disk"
	"goxl/domains/logs"
)

// openBatch has plain reads and writes go to the disk many at a time, where the host and
// the disk can do that. All else goes to the workers, and what fails as well: they tell
// why. It returns what to poll for the ends of such requests, or -1.
func (q *queue) openBatch(n int) (descriptor int) {
	if q.direct == nil {
		return -1
	}
	b, err := disk.NewBatch(q.direct, n)
	if err != nil {
		q.log.Debug("requests go to the disk one by one", logs.Error(err))
		return -1
	}
	q.batch = b
	return b.Descriptor()
}

func (q *queue) closeBatch() error {
	if q.batch == nil {
		return nil
	}
	return q.batch.Close()
}

// addToBatch reports whether r is part of the batch now.
func (q *queue) addToBatch(r *request) bool {
	if q.batch == nil || r.n == 0 || !q.gov.unlimited() {
		return false
	}
	off := int64(r.Sector) * blkif.SectorSize
	switch r.Op {
	case blkif.Read:
		return q.batch.Read(r.buf, off, r.tag)
	case blkif.Write:
		return q.batch.Write(r.buf, off, r.tag)
	}
	return false
}

// beginBatch starts what was added. What the kernel does not take goes to the workers.
func (q *queue) beginBatch() {
	if q.batch == nil {
		return
	}
	left, err := q.batch.Start()
	for _, tag := range left {
		q.hand(q.all[tag])
	}
	if err != nil {
		q.log.Warn("the kernel takes no requests, workers do them", logs.Error(err), logs.Int("requests", len(left)))
	}
}

// reap takes what the batch has ended.
func (q *queue) reap() {
	for {
		switch r, done := q.nextOfBatch(); {
		case r == nil:
			return
		case done:
			q.ended(r)
		default:
			q.hand(r)
		}
	}
}

func (q *queue) batchHasEnded() bool { return q.batch != nil && q.batch.HasEnded() }

// nextOfBatch is a request of the batch that has ended, or nil, and whether all of it was
// done.
func (q *queue) nextOfBatch() (r *request, done bool) {
	if q.batch == nil {
		return nil, false
	}
	tag, done, ok := q.batch.Next()
	if !ok {
		return nil, false
	}
	if r = q.all[tag]; r.Op == blkif.Write {
		q.mark(int64(r.Sector)*blkif.SectorSize, int64(r.n))
	}
	return r, done
}
