package ring

import (
	"fmt"
	"sync/atomic"
)

// Front is the frontend's half: it puts requests and takes responses. It is used
// by tests and by programs that run in a guest.
type Front struct {
	shared
	reqPut  uint32 // requests put
	reqPub  uint32 // of these, published
	rspCons uint32 // responses taken
}

// NewFront makes an empty ring in mem, whole pages that the backend does not know
// yet.
func NewFront(mem []byte, slot int) (*Front, error) {
	s, err := newShared(mem, slot)
	if err != nil {
		return nil, err
	}
	clear(mem)
	atomic.StoreUint32(s.reqEvent, 1)
	atomic.StoreUint32(s.rspEvent, 1)
	return &Front{shared: s}, nil
}

// Size returns the number of slots.
func (r *Front) Size() uint32 { return r.size }

// Free returns how many requests can be put.
func (r *Front) Free() uint32 { return r.size - (r.reqPut - r.rspCons) }

// Put writes the next request. There must be a free slot.
func (r *Front) Put(req []byte) {
	r.checkBuffer(len(req))
	if r.Free() == 0 {
		panic("ring: full")
	}
	r.store(r.reqPut, req)
	r.reqPut++
}

// Publish shows the backend all requests that were put and reports whether it
// wants to be notified.
func (r *Front) Publish() (notify bool) {
	old := r.reqPub
	r.reqPub = r.reqPut
	atomic.StoreUint32(r.reqProd, r.reqPut)
	return wants(r.reqPut, old, atomic.LoadUint32(r.reqEvent))
}

// Ready returns how many responses can be taken.
func (r *Front) Ready() (uint32, error) {
	prod := atomic.LoadUint32(r.rspProd)
	if have := prod - r.rspCons; have <= r.reqPub-r.rspCons {
		return have, nil
	}
	return 0, fmt.Errorf("%w: index %d of responses to %d requests", ErrRing, prod, r.reqPub)
}

// Next copies the start of the next response and reports false when there is none.
func (r *Front) Next(rsp []byte) (bool, error) {
	r.checkBuffer(len(rsp))
	have, err := r.Ready()
	if have == 0 || err != nil {
		return false, err
	}
	r.load(rsp, r.rspCons)
	r.rspCons++
	return true, nil
}

// Arm asks for an event when n responses more are there, and reports whether they
// already are.
func (r *Front) Arm(n uint32) (more bool, err error) {
	atomic.StoreUint32(r.rspEvent, r.rspCons+n)
	have, err := r.Ready()
	return have >= n, err
}
