package disk

import (
	"errors"
	"fmt"

	"goxl/blkback/disk/uring"
)

// Batch begins many reads and writes of a raw disk by one system call, and learns of
// many that have ended by another. All its methods belong to one goroutine.
//
// What was begun goes on when the process is killed, until the host's disk has done it.
// It keeps the file open that long, and with it the file's lock: who opens the disk next
// is told ErrLocked, and has not to fear that old data come after new ones. So only what
// we have locked, or only read, has a Batch: a file, or a block device with a holder. It
// has to be direct I/O, too: the kernel has threads of its own do what has to wait for
// the page cache.
type Batch struct {
	f     *file
	fd    int // of f
	size  func() int64
	ring  *uring.Ring
	under []flight // by tag
}

// flight is a request under way.
type flight struct {
	n     int
	write bool
}

// NewBatch makes a batch for d of at most n requests under way; close it before d. The error wraps
// errors.ErrUnsupported when the kernel has no io_uring, or forbids it, or d is none of
// those that may have one.
func NewBatch(d Disk, n int) (*Batch, error) {
	r, ok := d.(*raw)
	if !ok || !r.f.direct || !r.f.locked && !r.f.readOnly {
		return nil, fmt.Errorf("requests of this disk go one by one: %w", errors.ErrUnsupported)
	}
	ring, err := uring.Open(n)
	if err != nil {
		return nil, err
	}
	b := &Batch{f: r.f, size: r.Size, ring: ring, under: make([]flight, n)}
	if err := r.f.control(func(fd int) error { b.fd = fd; return nil }); err != nil {
		return nil, errors.Join(err, ring.Close())
	}
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

// Descriptor is readable, to poll(2), when a request has ended.
func (b *Batch) Descriptor() int { return b.ring.Descriptor() }

// HasEnded reports whether Next has a request to return. It makes no system call.
func (b *Batch) HasEnded() bool { return b.ring.HasEnded() }

// Next returns the tag of a request that has ended, if there is one, and whether all of
// it was done. If not, do it by ReadAt or WriteAt, which say what is wrong. It does not
// block. What the host has in memory has ended when Start returns.
func (b *Batch) Next() (tag int, done, ok bool) {
	r, ok := b.ring.Next()
	if !ok {
		return 0, false, false
	}
	tag = int(r.Tag)
	done = int(r.Res) == b.under[tag].n
	b.over(tag)
	return tag, done, true
}

func (b *Batch) over(tag int) {
	if b.under[tag].write {
		b.f.rmw.RUnlock()
	}
	b.under[tag] = flight{}
}

// Close gives the batch back. Nothing may be under way.
func (b *Batch) Close() error { return b.ring.Close() }
