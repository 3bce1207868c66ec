package netback

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
)

// The interface has as many streams as the vif has queues, and the kernel chooses one
// for each flow. When the guest wants another choice, a frame changes queues here: who
// reads a stream puts what is for another queue into the inbox of that one, whose
// goroutine alone writes to its ring.

// inboxSize bounds what waits for a queue, in bytes, with eight for each frame's length.
// The kernel's backend has as much.
const inboxSize = 512 << 10

const inboxHead = 8

// inbox holds frames, each behind its length. The zero value is empty and takes no
// room before its first frame.
type inbox struct {
	full atomic.Bool // there are some

	mu   sync.Mutex
	mem  [2][]byte // where frames are put, and what was taken; not Go's memory
	used int
}

// put puts a frame in, or reports false when there is no room for it. First says that
// the inbox was empty, so that its owner may be asleep.
func (i *inbox) put(b []byte) (first, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.mem[0] == nil {
		var err error
		if i.mem[0], err = newArena(inboxSize); err != nil {
			return false, false
		}
	}
	size := inboxHead + (len(b)+7)&^7
	if i.used+size > inboxSize {
		return false, false
	}
	at := i.mem[0][i.used:]
	binary.NativeEndian.PutUint64(at, uint64(len(b)))
	copy(at[inboxHead:], b)
	i.used += size
	return !i.full.Swap(true), true
}

// take takes all frames, which nextFrame takes apart. They are valid until the next
// call.
func (i *inbox) take() []byte {
	if !i.full.Load() {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	b := i.mem[0][:i.used]
	i.mem[0], i.mem[1] = i.mem[1], i.mem[0]
	i.used = 0
	i.full.Store(false)
	return b
}

// nextFrame returns the first of several frames, and the others.
func nextFrame(b []byte) (frame, rest []byte) {
	n := int(binary.NativeEndian.Uint64(b))
	return b[inboxHead : inboxHead+n : inboxHead+n], b[inboxHead+(n+7)&^7:]
}

// close gives the memory back.
func (i *inbox) close() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	err := errors.Join(freeArena(i.mem[0]), freeArena(i.mem[1]))
	i.mem = [2][]byte{}
	return err
}

// give gives b, a header and a frame, to queue number to.
func (q *rxQueue) give(to int, b []byte) {
	other := q.vif.queues[to]
	first, ok := other.rx.inbox.put(b)
	if !ok {
		q.vif.counters.rxStalled.Add(1)
	}
	if first {
		other.bell.ring()
	}
}

// unpack takes frames from the inbox, up to half a batch, so that the queue's own stream
// has its turn, and returns how many are for the guest. When it returns none, the inbox
// was empty.
func (q *rxQueue) unpack() (n int) {
	for n < rxBatch/2 {
		if len(q.rest) == 0 {
			if n > 0 { // taking more would end what is in the batch
				return n
			}
			if q.rest = q.inbox.take(); len(q.rest) == 0 {
				return 0
			}
		}
		var b []byte
		if b, q.rest = nextFrame(q.rest); q.accept(n, b, true) {
			n++
		}
	}
	return n
}
