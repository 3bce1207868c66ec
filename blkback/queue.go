package blkback

import (
	"slices"
	"time"

	"goxl/backends"
	"goxl/backends/ring"
	"goxl/blkback/blkif"
	"goxl/blkback/disk"
	"goxl/domains/logs"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/gnttab"
)

const (
	// maxIndirect is how many segments an indirect request may have: 1 MiB.
	maxIndirect = 256

	// maxTake is how many requests are taken before the data of writes is fetched.
	maxTake = 32

	// maxCopies is how many pieces one call copies.
	maxCopies = 1024

	// maxTurns is how often requests are taken before anything else is looked at: a
	// guest can make them faster than they are refused.
	maxTurns = 64

	// maxEffort is how much is done, in bytes, until other goroutines have a turn; a
	// request counts as baseEffort besides its data.
	maxEffort  = 1 << 20
	baseEffort = 16 << 10

	idlePause = 10 * time.Second // until an idle queue gives its buffers back

	// aloneAfter is how many requests in a row must have been the only one for the next
	// to be done by the queue itself, and alonePause how long the host may take then.
	aloneAfter = 8
	alonePause = 5 * time.Millisecond
)

// request is one on its way. It belongs to the queue's goroutine, or to a worker
// between work and done.
type request struct {
	blkif.Request
	tag      int    // its place in the queue's list of all
	entry    uint16 // in the journal
	segments []blkif.Segment
	wide     []blkif.Segment // room for those of an indirect request, once there was one
	buf      []byte          // the data; nil if there is none
	n        int             // bytes of data
	status   blkif.Status
	failed   bool          // by the host
	held     hold          // why it is not done, though a worker had it
	alone    bool          // done by the queue itself
	start    time.Duration // by the queue's clock
}

// newClock is the time since now: the monotonic clock alone, half the cost of time.Now.
func newClock() func() time.Duration {
	origin := time.Now()
	return func() time.Duration { return time.Since(origin) }
}

// channel is an event channel, as backends.PolledChannel has it.
type channel interface {
	FD() int
	Take() (bool, error)
	Unmask() error
	Notify() error
}

// queue serves one ring. All but the workers' part belongs to one goroutine.
type queue struct {
	dom     abi.DomID
	layout  blkif.Layout
	disk    disk.Disk
	direct  disk.Disk          // what the batch reads and writes; nil: there is none
	mark    func(off, n int64) // notes a write of the batch's, as disk does its own
	log     *logs.Logger
	limits  func() blkif.Disk
	stats   *counters
	gov     *governor   // nil: no limits
	batch   *disk.Batch // nil: requests go to the disk one by one
	mem     backends.Mapping
	port    channel
	journal *section
	resume  bool
	workers int
	clock   func() time.Duration
	rest

	ring    *ring.Back
	copies  *gnttab.Batch
	bufs    *buffers
	slot    []byte
	rsp     []byte
	scratch []byte   // segments of indirect requests, half a page each
	replay  []uint16 // journal entries to be done once more

	all      []*request // by tag
	idle     []*request // not in use
	taken    []*request // of this round
	waiting  []*request // for a buffer or a barrier, in the guest's order
	fetching []*request // writes whose data is being copied
	reads    []*request // reads whose data is being copied
	ready    []*request // done, and their data not yet copied
	answered []uint16   // entries whose response is not yet final
	parked   []*request // writes that wait until the host has room; they count as running
	running  int        // under way: at workers, in the batch, parked
	left     int        // not done and not answered, since the queue stops
	stopping bool
	barrier  bool // one is at a worker
	unsent   bool // responses are not published
	more     bool // requests may be there that no event will tell of
	masked   bool // an event came that is not dealt with
	deaf     bool // events mean nothing any more
	portErr  error
	busy     bool // something came since the last time was over
	alone    int  // how many requests in a row were the only one
	effort   int  // since others had a turn

	sleeper sleeper
	retry   time.Duration // of what is parked, by the clock; 0: nothing is
	now     time.Duration // when this round's requests were taken, or answered

	work chan *request
	done chan *request
	halt func() // ends the waits of workers for the disk's limits
}

// attach lays the ring over its memory and takes back what the journal holds.
func (q *queue) attach(b []byte) (err error) {
	slot := q.layout.SlotSize()
	if q.resume {
		q.ring, err = ring.ResumeBack(b, slot, *q.journal.taken(), *q.journal.answered())
	} else if q.ring, err = ring.NewBack(b, slot); err == nil {
		q.journal.reset(q.ring.Answered())
	}
	if err != nil {
		return err
	}
	n := int(q.ring.Size())
	q.slot, q.rsp = make([]byte, slot), make([]byte, q.layout.ResponseSize())
	for tag := range n {
		q.all = append(q.all, &request{tag: tag})
	}
	q.idle = slices.Clone(q.all)
	if !q.resume {
		return nil
	}
	if q.replay, err = q.journal.recover(); err != nil {
		return err
	}
	q.stats.replayed.Add(uint64(len(q.replay)))
	q.unsent = true // the index of responses may not have been stored, nor the event sent
	return nil
}

// round does all that can be done now: answers what is done, takes what is there, and
// starts what may run. After it an event comes for each new request, unless requests
// are not taken because earlier ones wait, or the guest makes them without end: then
// there is more to do.
func (q *queue) round() error {
	q.more = false
	for turn := 0; ; turn++ {
		for more := true; more; more = len(q.ready) > 0 { // start may refuse some
			q.finish()
			q.start()
		}
		q.publish()
		if q.effort > maxEffort {
			q.breathe()
		}
		if len(q.waiting) > 0 || q.left > 0 || q.stopping && len(q.replay) == 0 {
			return nil
		}
		if q.more = turn == maxTurns; q.more {
			return nil
		}
		if err := q.take(); err != nil {
			return err
		}
		if len(q.taken) > 0 {
			continue
		}
		if more, err := q.ring.Arm(1); err != nil || !more {
			return err
		}
	}
}

// take takes the next requests: those to be done once more, then, unless this process
// is about to end, from the ring, where each is noted in the journal.
func (q *queue) take() error {
	if n, err := q.ring.Ready(); n > 0 && err == nil || len(q.replay) > 0 {
		q.now = q.clock()
	}
	for len(q.taken) < maxTake && len(q.replay) > 0 {
		e := q.replay[0]
		q.replay = q.replay[1:]
		copy(q.slot, q.journal.slot(e))
		q.taken = append(q.taken, q.decode(e))
	}
	for !q.stopping && len(q.taken) < maxTake && len(q.idle) > 0 {
		i := q.ring.Taken()
		ok, err := q.ring.Next(q.slot)
		if err != nil || !ok {
			return err
		}
		q.taken = append(q.taken, q.decode(q.journal.begin(i, q.slot)))
	}
	return nil
}

func (q *queue) decode(e uint16) *request {
	k := len(q.idle) - 1
	r := q.idle[k]
	q.idle = q.idle[:k]
	q.layout.Decode(&r.Request, q.slot)
	r.entry, r.buf, r.n, r.status, r.failed, r.held, r.start, r.alone = e, nil, 0, blkif.OK, false, holdNone, q.now, false
	return r
}

// start checks the requests that were taken and hands to the workers what may run.
func (q *queue) start() {
	q.readIndirect()
	limits := q.limits()
	for _, r := range q.taken {
		if r.status == blkif.OK {
			r.n, r.status = r.Check(&limits, r.segments)
			if r.status != blkif.OK {
				q.stats.refused.Add(1)
			}
		}
		if r.status != blkif.OK {
			q.ready = append(q.ready, r)
			continue
		}
		q.waiting = append(q.waiting, r)
	}
	q.taken = q.taken[:0]
	switch n := len(q.waiting); {
	case n > 1 || n > 0 && q.running > 0:
		q.alone = 0
	case n == 1:
		q.alone++
	}
	started := 0
	for _, r := range q.waiting {
		if q.left > 0 || !q.admit(r) {
			break
		}
		started++
	}
	q.fetch()
	q.beginBatch()
	q.reap()
	q.waiting = append(q.waiting[:0], q.waiting[started:]...)
}

// readIndirect copies the segments of indirect requests from the guest, once.
func (q *queue) readIndirect() {
	limits := q.limits()
	q.copies.Reset()
	for i, r := range q.taken {
		r.segments = r.Segments[:min(r.Count, blkif.MaxSegments)]
		if !r.Indirect {
			continue
		}
		if r.status = r.CheckCount(&limits); r.status != blkif.OK {
			q.stats.refused.Add(1)
			continue
		}
		if q.scratch == nil {
			p, err := q.bufs.alloc(maxTake * maxIndirect * blkif.SegmentSize)
			if err != nil {
				r.status, r.failed = blkif.Error, true
				continue
			}
			q.scratch = p
		}
		// A count that passed fills half a page of descriptors at most.
		q.copies.Ops = append(q.copies.Ops, gnttab.Op{
			Grant: gnttab.Grant{Dom: q.dom, Ref: r.Pages[0]}, Local: q.descriptors(i)[:r.Count*blkif.SegmentSize]})
	}
	if len(q.copies.Ops) == 0 {
		return
	}
	err := q.copy()
	n := 0
	for i, r := range q.taken {
		if !r.Indirect || r.status != blkif.OK {
			continue
		}
		if err != nil || q.copies.Ops[n].Status != abi.GrantOK {
			r.status = blkif.Error
			q.stats.refused.Add(1)
		} else {
			r.segments = r.indirectSegments()
			blkif.DecodeSegments(r.segments, q.descriptors(i))
		}
		n++
	}
}

// descriptors is where the segments of the request number i of a round are copied to.
func (q *queue) descriptors(i int) []byte {
	const n = maxIndirect * blkif.SegmentSize
	return q.scratch[i*n : (i+1)*n]
}

func (r *request) indirectSegments() []blkif.Segment {
	if r.wide == nil {
		r.wide = make([]blkif.Segment, maxIndirect)
	}
	return r.wide[:r.Count]
}

// admit starts r unless it has to wait, for a barrier or a buffer.
func (q *queue) admit(r *request) bool {
	if q.barrier || r.Op == blkif.Barrier && (q.running > 0 || len(q.fetching) > 0) {
		return false
	}
	if r.n > 0 {
		buf, err := q.bufs.get(r.n)
		if err != nil {
			r.status, r.failed = blkif.Error, true
			q.ready = append(q.ready, r)
			return true
		}
		if buf == nil {
			q.stats.waited.Add(1)
			return false
		}
		r.buf = buf
	}
	q.barrier = r.Op == blkif.Barrier
	if r.n == 0 || r.Op == blkif.Read {
		q.run(r)
		return true
	}
	if len(q.fetching) > 0 && len(q.copies.Ops)+len(r.segments) > maxCopies {
		q.fetch()
	}
	if len(q.fetching) == 0 {
		q.copies.Reset()
	}
	q.addCopies(r, false)
	q.fetching = append(q.fetching, r)
	return true
}

// fetch copies the data of writes from the guest and starts them.
func (q *queue) fetch() {
	if len(q.fetching) == 0 {
		return
	}
	q.copied(q.fetching)
	for i, r := range q.fetching {
		q.fetching[i] = nil
		if r.status != blkif.OK {
			q.barrier = q.barrier && r.Op != blkif.Barrier
			q.ready = append(q.ready, r)
			continue
		}
		q.run(r)
	}
	q.fetching = q.fetching[:0]
}

// run does r, or hands it to the batch or to a worker.
func (q *queue) run(r *request) {
	q.running++
	q.stats.inflight.Add(1)
	switch {
	case q.addToBatch(r):
	case q.isAlone(r):
		q.doAlone(r)
	default:
		q.hand(r)
	}
}

// hand gives r to a worker.
func (q *queue) hand(r *request) { q.work <- r } // there is room for all requests of the ring

// finish copies the data of reads to the guest and puts all responses.
func (q *queue) finish() {
	for len(q.ready) > 0 {
		q.copies.Reset()
		n := 0
		for _, r := range q.ready {
			if len(q.copies.Ops) > 0 && len(q.copies.Ops)+len(r.segments) > maxCopies {
				break
			}
			if n++; r.Op == blkif.Read && r.status == blkif.OK {
				q.addCopies(r, true)
				q.reads = append(q.reads, r)
			}
		}
		if len(q.reads) > 0 {
			q.copied(q.reads)
			clear(q.reads)
			q.reads = q.reads[:0]
		}
		q.now = q.clock()
		for _, r := range q.ready[:n] {
			q.respond(r)
		}
		q.ready = append(q.ready[:0], q.ready[n:]...)
	}
}

// respond answers r and forgets it.
func (q *queue) respond(r *request) {
	if r.alone && q.now-r.start > alonePause {
		q.alone = 0
	}
	if r.failed {
		q.stats.errors.Add(1)
	} else if r.status == blkif.OK {
		n := r.n
		if r.Op == blkif.Discard {
			n = int(r.Sectors * blkif.SectorSize)
		}
		q.stats.count(r.Op, n, q.now-r.start)
	}
	q.effort += r.n + baseEffort
	i := q.ring.Answered()
	q.layout.PutResponse(q.rsp, r.ID, r.Op, r.status)
	q.ring.Put(q.rsp)
	q.journal.answer(r.entry, i)
	q.answered = append(q.answered, r.entry)
	q.bufs.put(r.buf)
	r.buf = nil
	q.idle = append(q.idle, r)
	q.unsent = true
}

// publish shows the guest the responses, once the journal knows that they are final.
func (q *queue) publish() {
	if !q.unsent {
		return
	}
	q.unsent = false
	q.journal.commit(q.ring.Answered())
	notify := q.ring.Publish()
	for _, e := range q.answered {
		q.journal.done(e)
	}
	q.answered = q.answered[:0]
	if notify || q.resume {
		q.resume = false // the killed process may not have come to send its event
		q.stats.notified.Add(1)
		_ = q.port.Notify() // a guest that is gone needs none
	}
}
