package disks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"goxl/blkback/mirror"
	"goxl/migrate/stream"
)

// Sender sends the disks of one guest. It is for one goroutine.
type Sender struct {
	Dir       string // blkback's state folder
	Disks     []Disk
	Overwrite bool // files that are there may be replaced
	// Write takes a record, of which it keeps nothing.
	Write func(stream.Body) error
	// Progress, if not nil, is told now and then how far it is. It must not block.
	Progress func(Progress)
	// Notice, if not nil, is told of what a person who watches should know.
	Notice func(string)

	// Rounds are those that were done while the guest ran.
	Rounds []Round
	// Rest is what was sent while the guest was suspended.
	Rest Round

	out      []*outgoing
	round    int
	restarts int
}

// Progress is how far the copy of all disks is.
type Progress struct {
	Round       int   // 0 is the first, of all there is
	Done, Total int64 // bytes of disks that were looked at, in this round
	Sent        int64 // bytes of all rounds that were sent
}

// Round is one round of all disks.
type Round struct {
	Read  int64 // bytes that were looked at
	Sent  int64 // of them, to the receiver
	Took  time.Duration
	Dirty int64 // bytes of blocks that the guest wrote meanwhile
}

// outgoing is one disk.
type outgoing struct {
	Disk
	number uint32
	c      *mirror.Client
	sums   *sums
	dirty  mirror.Set // that has to be read
}

// Bounds of the rounds.
const (
	mostRounds   = 20
	fewBytes     = 4 << 20 // that are worth suspending for
	readAtOnce   = 1 << 20
	mostRestarts = 3
	restartLimit = 30 * time.Second // until the next blkback serves the disk
)

// Open has blkback note what is written from here on, and tells the receiver which disks
// will come. Call Close however it ends.
func (s *Sender) Open(ctx context.Context) error {
	for i, d := range s.Disks {
		o := &outgoing{Disk: d, number: uint32(i)}
		s.out = append(s.out, o)
		var err error
		if o.c, err = mirror.Open(ctx, s.Dir, d.ID); err != nil {
			return o.failed(err)
		}
		if o.c.Disk().Size != d.Size {
			return o.failed(errors.New("its size has changed"))
		}
		if o.sums, err = newSums(d.Size); err != nil {
			return o.failed(err)
		}
		o.dirty = o.c.NewSet()
		if err := s.Write(&stream.DiskBegin{Disk: o.number, Overwrite: s.Overwrite, Size: uint64(d.Size), Used: uint64(d.Used),
			Format: d.Format, Name: d.Name}); err != nil {
			return err
		}
	}
	return nil
}

func (o *outgoing) failed(err error) error {
	return fmt.Errorf("disk %s (%s): %w", o.Name, o.Path, err)
}

// Converge sends all disks while the guest runs, and what it writes meanwhile, for as long
// as that is of use.
func (s *Sender) Converge(ctx context.Context) error {
	for {
		if err := s.Round(ctx); err != nil || s.enough() {
			return err
		}
	}
}

// enough decides whether more rounds are of no use: little is left, or twice the guest
// wrote no less than was sent, or there were many.
func (s *Sender) enough() bool {
	n := len(s.Rounds)
	last := s.Rounds[n-1]
	if last.Dirty <= fewBytes || n >= mostRounds {
		return true
	}
	shrank := func(r Round) bool { return r.Dirty < r.Read }
	return n > 1 && !shrank(last) && !shrank(s.Rounds[n-2])
}

// Round sends, while the guest runs, what it wrote since the last one, or everything at
// first.
func (s *Sender) Round(ctx context.Context) error {
	begin := time.Now()
	r, err := s.sendAll(ctx, false)
	if err != nil {
		return err
	}
	for _, o := range s.out {
		if err := s.take(ctx, o); err != nil {
			return err
		}
		r.Dirty += int64(o.dirty.Len()) * o.sums.block
	}
	r.Took = time.Since(begin)
	s.Rounds = append(s.Rounds, r)
	s.round++
	return nil
}

// Behind reports whether there is so much to send that another round is worth it.
func (s *Sender) Behind(ctx context.Context) (bool, error) {
	n := int64(0)
	for _, o := range s.out {
		if err := s.take(ctx, o); err != nil {
			return false, err
		}
		n += int64(o.dirty.Len()) * o.sums.block
	}
	return n > fewBytes, nil
}

// Finish sends what is left, and the checksums. The guest is suspended.
func (s *Sender) Finish(ctx context.Context) error {
	begin := time.Now()
	for _, o := range s.out {
		if err := o.c.Settle(ctx); err != nil {
			return o.failed(err)
		}
		if err := o.c.Dirty(ctx, o.dirty); err != nil {
			return o.failed(err)
		}
	}
	var err error
	s.Rest, err = s.sendAll(ctx, true)
	s.Rest.Took = time.Since(begin)
	return err
}

// Close ends the notes of what is written.
func (s *Sender) Close() {
	for _, o := range s.out {
		if o.c != nil {
			o.c.Close()
		}
	}
}

// take adds to what has to be read what was written since the last time.
func (s *Sender) take(ctx context.Context, o *outgoing) error {
	err := o.c.Dirty(ctx, o.dirty)
	if errors.Is(err, mirror.ErrLost) {
		err = s.again(ctx, o, err)
	}
	if err != nil {
		return o.failed(err)
	}
	return nil
}

// again begins anew with a disk whose blkback has ended, for cause.
func (s *Sender) again(ctx context.Context, o *outgoing, cause error) error {
	if s.restarts++; s.restarts > mostRestarts {
		return fmt.Errorf("that was once more than it is tried: %w", cause)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, restartLimit, fmt.Errorf("no blkback serves it within %s: %w", restartLimit, cause))
	defer cancel()
	o.c.Close()
	for {
		c, err := mirror.Open(ctx, s.Dir, o.ID)
		if err == nil && c.Disk() != o.c.Disk() {
			c.Close()
			return errors.New("blkback serves another disk there now")
		}
		if err == nil {
			o.c, o.dirty = c, c.NewSet()
			if s.Notice != nil {
				s.Notice(fmt.Sprintf("blkback has ended meanwhile: all of %s is read anew", o.Name))
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// sendAll sends what has to be read of all disks, and then what stands behind it: the end,
// or that one round is over.
func (s *Sender) sendAll(ctx context.Context, last bool) (Round, error) {
	p := Progress{Round: s.round}
	for _, o := range s.out {
		p.Total += int64(o.dirty.Len()) * o.sums.block
	}
	for _, r := range s.Rounds {
		p.Sent += r.Sent
	}
	before := p.Sent
	for _, o := range s.out {
		for {
			err := s.send(ctx, o, &p)
			if err == nil {
				break
			}
			if last || !errors.Is(err, mirror.ErrLost) {
				return Round{}, o.failed(err)
			}
			if err := s.again(ctx, o, err); err != nil {
				return Round{}, o.failed(err)
			}
			p.Total += int64(o.dirty.Len()) * o.sums.block
		}
		var end stream.Body = &stream.DiskRound{Disk: o.number}
		if last {
			end = &stream.DiskEnd{Disk: o.number, Sum: o.sums.disk()}
		}
		if err := s.Write(end); err != nil {
			return Round{}, err
		}
	}
	return Round{Read: p.Done, Sent: p.Sent - before}, nil
}

// send reads the blocks of a disk that have to be, and sends those that have changed.
func (s *Sender) send(ctx context.Context, o *outgoing, p *Progress) error {
	most := max(1, int(min(int64(o.c.Most()), readAtOnce/o.sums.block)))
	for i, n := o.dirty.Next(0, most); n > 0; i, n = o.dirty.Next(i+n, most) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		data, zero, err := o.c.Read(ctx, i, n)
		if err != nil {
			return err
		}
		sent, err := s.sendBlocks(o, i, n, data, zero)
		if err != nil {
			return err
		}
		for k := range n {
			o.dirty.Remove(i + k)
		}
		p.Done += int64(n) * o.sums.block
		p.Sent += sent
		if s.Progress != nil {
			s.Progress(*p)
		}
	}
	return nil
}

// sendBlocks sends those of n blocks from the first on that are not what the receiver has.
// It returns how many bytes were sent.
func (s *Sender) sendBlocks(o *outgoing, first, n int, data []byte, zero uint64) (sent int64, err error) {
	run, from := 0, 0 // bytes at the end of what was gone over that have to be sent, and their block
	flush := func(at int) error {
		if run == 0 {
			return nil
		}
		part := data[at-run : at]
		sent += int64(run)
		run = 0
		return s.Write(&stream.DiskData{Disk: o.number, Offset: uint64(int64(from) * o.sums.block), Data: part})
	}
	at := 0
	for i := first; i < first+n; i++ {
		length := o.sums.length(i)
		now := sum{}
		if zero>>(i-first)&1 == 0 {
			now = sumOf(data[at : at+length])
		} else {
			length = 0
		}
		if now == o.sums.of[i] || length == 0 {
			if err := flush(at); err != nil {
				return sent, err
			}
		} else {
			if run == 0 {
				from = i
			}
			run += length
		}
		if now != o.sums.of[i] && length == 0 {
			if err := s.Write(&stream.DiskZero{Disk: o.number, Offset: uint64(int64(i) * o.sums.block), Length: uint64(o.sums.length(i))}); err != nil {
				return sent, err
			}
		}
		o.sums.of[i] = now
		at += length
	}
	return sent, flush(at)
}
