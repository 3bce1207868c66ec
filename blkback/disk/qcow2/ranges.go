package qcow2

import "sync"

// ranges lets requests hold ranges of guest clusters, shared or alone, first come
// first served where they overlap. Taking a range allocates nothing in the long run.
type ranges struct {
	mu         sync.Mutex
	freed      sync.Cond
	head, tail *span // held and waiting, in the order in which they came
	exclusive  int   // how many of these are exclusive
	waiting    int
	spare      *span // unused, by next
}

// span is a range held by one request.
type span struct {
	first, last int64 // guest clusters
	exclusive   bool
	prev, next  *span
}

func (r *ranges) init() { r.freed.L = &r.mu }

// lock waits until no earlier request is in the way.
func (r *ranges) lock(first, last int64, exclusive bool) *span {
	r.mu.Lock()
	s := r.spare
	if s == nil {
		s = new(span)
	} else {
		r.spare = s.next
	}
	*s = span{first: first, last: last, exclusive: exclusive, prev: r.tail}
	if r.tail == nil {
		r.head = s
	} else {
		r.tail.next = s
	}
	r.tail = s
	if exclusive {
		r.exclusive++
	}
	for r.blocked(s) {
		r.waiting++
		r.freed.Wait()
		r.waiting--
	}
	r.mu.Unlock()
	return s
}

// blocked looks for an earlier request that s must wait for.
func (r *ranges) blocked(s *span) bool {
	if r.exclusive == 0 {
		return false
	}
	for o := r.head; o != s; o = o.next {
		if (o.exclusive || s.exclusive) && o.first <= s.last && s.first <= o.last {
			return true
		}
	}
	return false
}

func (r *ranges) unlock(s *span) {
	r.mu.Lock()
	if s.prev == nil {
		r.head = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next == nil {
		r.tail = s.prev
	} else {
		s.next.prev = s.prev
	}
	if s.exclusive {
		r.exclusive--
	}
	s.prev, s.next = nil, r.spare
	r.spare = s
	if r.waiting > 0 {
		r.freed.Broadcast()
	}
	r.mu.Unlock()
}

// idle waits until nobody holds anything.
func (r *ranges) idle() {
	r.mu.Lock()
	for r.head != nil {
		r.waiting++
		r.freed.Wait()
		r.waiting--
	}
	r.mu.Unlock()
}
