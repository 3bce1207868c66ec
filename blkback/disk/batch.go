package disk

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"goxl/blkback/disk/uring"
)

// Batch begins many reads and writes of a raw disk by one system call, and learns of
// many that have ended by another. All its methods belong to one goroutine.
//
// What was begun goes on when the process is killed, until the host's disk has done it.
// It keeps the file open that long, and with it the file's lock: who opens the disk next
// is told ErrLocked, and has not to fear that old data come after new ones. So only a
// file that we have locked has a Batch. Through the page cache a request takes less time
// than being told of its end, so it has to be direct I/O, too.
type Batch struct {
	f     *file
	fd    int // of f
	size  func() int64
	ring  *uring.Ring
	ends  chan Ended
	under []flight // by tag
	wg    sync.WaitGroup
}

// flight is a request under way.
type flight struct {
	n     int
	write bool
}

// Ended is a request that has ended, for Take.
type Ended struct {
	tag uint64
	n   int32
}

// stopTag is that of the request that ends the collector.
const stopTag = math.MaxUint64

// NewBatch makes a batch for d of at most n requests under way; close it before d. The error wraps
// errors.ErrUnsupported when the kernel has no io_uring, or forbids it, or d is none of
// those that may have one.
func NewBatch(d Disk, n int) (*Batch, error) {
	r, ok := d.(*raw)
	if !ok || !r.f.direct || !r.f.locked {
		return nil, fmt.Errorf("requests of this disk go one by one: %w", errors.ErrUnsupported)
	}
	ring, err := uring.Open(n)
	if err != nil {
		return nil, err
	}
	b := &Batch{f: r.f, size: r.Size, ring: ring, ends: make(chan Ended, n), under: make([]flight, n)}
	if err := r.f.control(func(fd int) error { b.fd = fd; return nil }); err != nil {
		return nil, errors.Join(err, ring.Close())
	}
	b.wg.Go(b.collect)
	return b, nil
}

// Read adds the reading of p from byte off; tag, from 0 to n-1, is that of no request
// under way. P belongs to the batch until its end. It returns false if the request has
// to be done by ReadAt.
func (b *Batch) Read(p []byte, off int64, tag int) bool { return b.add(p, off, tag, false) }

// Write adds the writing of p to byte off, as Read adds a reading.
func (b *Batch) Write(p []byte, off int64, tag int) bool { return b.add(p, off, tag, true) }

func (b *Batch) add(p []byte, off int64, tag int, write bool) bool {
	if checkRange("batch", off, int64(len(p)), b.size()) != nil || !b.f.aligned(p, off) || write && b.f.readOnly {
		return false
	}
	if write && !b.f.rmw.TryRLock() { // a part of a block is being changed
		return false
	}
	b.under[tag] = flight{len(p), write}
	var added bool
	if write {
		added = b.ring.Write(b.fd, p, off, uint64(tag))
	} else {
		added = b.ring.Read(b.fd, p, off, uint64(tag))
	}
	if !added {
		b.over(tag)
	}
	return added
}

// Start begins what was added. With an error some was not begun, and never will be: it
// returns their tags.
func (b *Batch) Start() (left []int, err error) {
	tags, err := b.ring.Submit()
	for _, t := range tags {
		b.over(int(t))
		left = append(left, int(t))
	}
	return left, err
}

// Ends is where requests are handed over that have ended.
func (b *Batch) Ends() <-chan Ended { return b.ends }

// Take returns the tag of a request that has ended, and whether all of it was done. If
// not, do it by ReadAt or WriteAt, which say what is wrong.
func (b *Batch) Take(e Ended) (tag int, done bool) {
	tag = int(e.tag)
	done = int(e.n) == b.under[tag].n
	b.over(tag)
	return tag, done
}

func (b *Batch) over(tag int) {
	if b.under[tag].write {
		b.f.rmw.RUnlock()
	}
	b.under[tag] = flight{}
}

// Close gives the batch back. Nothing may be under way.
func (b *Batch) Close() error {
	b.ring.Nop(stopTag)
	if _, err := b.ring.Submit(); err != nil {
		return err // and the collector waits for ever: so does a kernel that takes nothing
	}
	b.wg.Wait()
	return b.ring.Close()
}

// collect hands over what has ended.
func (b *Batch) collect() {
	var some [32]uring.Result
	for {
		n, err := b.ring.Wait(some[:])
		if err != nil {
			close(b.ends)
			return
		}
		for _, r := range some[:n] {
			if r.Tag == stopTag {
				return
			}
			b.ends <- Ended{r.Tag, r.Res} // room for all
		}
	}
}
