package blkback

import (
	"errors"

	"goxl/blkback/blkif"
	"goxl/blkback/disk"
	"goxl/domains/logs"
)

// openBatch has plain reads and writes go to the disk many at a time, where the host and
// the disk can do that. All else goes to the workers, and what fails as well: they tell
// why.
func (q *queue) openBatch(n int) {
	if q.direct == nil {
		return
	}
	b, err := disk.NewBatch(q.direct, n)
	if err != nil {
		q.log.Debug("requests go to the disk one by one", logs.Error(err))
		return
	}
	q.batch = b
}

func (q *queue) closeBatch() error {
	if q.batch == nil {
		return nil
	}
	return q.batch.Close()
}

// ends is nil without a batch: nothing ever comes from it.
func (q *queue) ends() <-chan disk.Ended {
	if q.batch == nil {
		return nil
	}
	return q.batch.Ends()
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
		q.work <- q.all[tag]
	}
	if err != nil {
		q.log.Warn("the kernel takes no requests, workers do them", logs.Error(err), logs.Int("requests", len(left)))
	}
}

var errBatch = errors.New("the kernel tells of no more requests that have ended")

// batchEnded takes the end of a request, and of all others that have ended.
func (q *queue) batchEnded(e disk.Ended, ok bool) error {
	for {
		if !ok {
			return errBatch
		}
		tag, done := q.batch.Take(e)
		r := q.all[tag]
		if r.Op == blkif.Write {
			q.mark(int64(r.Sector)*blkif.SectorSize, int64(r.n))
		}
		if !done {
			q.work <- r
		} else {
			q.ended(r)
		}
		select {
		case e, ok = <-q.batch.Ends():
		default:
			return nil
		}
	}
}
