package ring

import (
	"fmt"
	"sync/atomic"
)

// Back is the backend's half: it takes requests and puts responses.
type Back struct {
	shared
	reqCons uint32 // requests taken
	rspPut  uint32 // responses put
	rspPub  uint32 // of these, published
}

// NewBack attaches to the ring in mem, whole mapped pages with slots of the given
// size. It starts where the responses published so far end, as a frontend's fresh
// ring and one that another backend left in order both want it.
func NewBack(mem []byte, slot int) (*Back, error) {
	s, err := newShared(mem, slot)
	if err != nil {
		return nil, err
	}
	return attach(s, atomic.LoadUint32(s.rspProd), atomic.LoadUint32(s.rspProd))
}

// ResumeBack attaches to a ring that an earlier process served: it had taken the
// requests before index taken and answered those before answered. Publish then
// makes the index of the answers visible again, which does no harm if it was.
func ResumeBack(mem []byte, slot int, taken, answered uint32) (*Back, error) {
	s, err := newShared(mem, slot)
	if err != nil {
		return nil, err
	}
	return attach(s, taken, answered)
}

func attach(s shared, taken, answered uint32) (*Back, error) {
	r := &Back{shared: s, reqCons: taken, rspPut: answered, rspPub: answered}
	if taken-answered > s.size {
		return nil, fmt.Errorf("%w: %d requests taken and %d answered with %d slots", ErrRing, taken, answered, s.size)
	}
	if _, err := r.Ready(); err != nil {
		return nil, err
	}
	return r, nil
}

// Size returns the number of slots.
func (r *Back) Size() uint32 { return r.size }

// Taken returns the index of the next request: how many were taken, modulo 2³².
func (r *Back) Taken() uint32 { return r.reqCons }

// Answered returns the index of the next response.
func (r *Back) Answered() uint32 { return r.rspPut }

// Outstanding returns how many requests were taken and not answered yet.
func (r *Back) Outstanding() uint32 { return r.reqCons - r.rspPut }

// Ready returns how many requests can be taken now.
func (r *Back) Ready() (uint32, error) {
	prod := atomic.LoadUint32(r.reqProd) // ordered before the copies that follow
	have, room := prod-r.reqCons, r.size-(r.reqCons-r.rspPut)
	if have > room { // also when prod ran backwards: indices wrap at 2³²
		return 0, fmt.Errorf("%w: index %d announces %d requests for %d free slots", ErrRing, prod, have, room)
	}
	return have, nil
}

// Next copies the start of the next request, as much as req holds, and reports
// false when there is none. What it copied is the caller's and cannot change.
func (r *Back) Next(req []byte) (bool, error) {
	r.checkBuffer(len(req))
	have, err := r.Ready()
	if have == 0 || err != nil {
		return false, err
	}
	r.load(req, r.reqCons)
	r.reqCons++
	return true, nil
}

// Put writes the next response, whose bytes beyond rsp are zero. The frontend
// sees it after Publish. There must be a request that is not answered yet.
func (r *Back) Put(rsp []byte) {
	r.checkBuffer(len(rsp))
	if r.reqCons == r.rspPut {
		panic("ring: more responses than requests")
	}
	r.store(r.rspPut, rsp)
	r.rspPut++
}

// Publish shows the frontend all responses that were put and reports whether it
// wants to be notified of them.
func (r *Back) Publish() (notify bool) {
	old := r.rspPub
	r.rspPub = r.rspPut
	atomic.StoreUint32(r.rspProd, r.rspPut) // a full barrier, also against the load below
	return wants(r.rspPut, old, atomic.LoadUint32(r.rspEvent))
}

// Arm asks for an event when n requests more than were taken are there, and
// reports whether they already are: then there may be no event, so look again
// before sleeping. n is at least 1.
func (r *Back) Arm(n uint32) (more bool, err error) {
	atomic.StoreUint32(r.reqEvent, r.reqCons+n) // a full barrier, also against the load in Ready
	have, err := r.Ready()
	return have >= n, err
}

// wants reports whether a producer who moved its index from old to prod has passed
// the index at which the other side wants an event.
func wants(prod, old, event uint32) bool { return prod-event < prod-old }
