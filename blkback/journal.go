package blkback

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"unsafe"

	"goxl/backends/ring"
	"goxl/blkback/blkif"
	"goxl/xenctrl/abi"
)

// The journal's layout, all in this machine's byte order: it never leaves it. A page
// with what the rings are; then per queue a head and one entry per slot of its ring.
const (
	journalMagic   = 0x3144_4256_4c58_4f47 // "GOXLVBD1"
	journalHeader  = abi.PageSize
	queueHead      = 64
	entrySize      = 128
	entrySlot      = 16 // offset of the request's bytes
	maxQueues      = 16
	maxRingPages   = 16
	queueParamSize = 4 + 4*maxRingPages
	paramStart     = 64
)

// What an entry holds.
const (
	entryFree     = 0
	entryTaken    = 1 // a request that was taken from the ring
	entryAnswered = 2 // its response is in the ring, and maybe published
)

// ErrJournal is a journal that cannot be true or is not there.
var ErrJournal = errors.New("journal is unusable")

// params are what has to be known to attach to the rings again.
type params struct {
	id     string // of the connection, random, also in xenstore
	layout blkif.Layout
	pages  int // of each ring
	queues []queueParams
}

type queueParams struct {
	port abi.Port
	refs []abi.GrantRef
}

func newConnectionID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func (p *params) slots() uint32 { return ring.Entries(p.pages, p.layout.SlotSize()) }

func (p *params) size() int {
	return journalHeader + len(p.queues)*(queueHead+int(p.slots())*entrySize)
}

// encode writes p to the journal's first page.
func (p *params) encode(b []byte) error {
	id, err := hex.DecodeString(p.id)
	if err != nil || len(id) != 16 {
		return fmt.Errorf("connection id %q", p.id)
	}
	ne := binary.NativeEndian
	ne.PutUint32(b[8:], uint32(p.layout))
	ne.PutUint32(b[12:], uint32(p.pages))
	ne.PutUint32(b[16:], uint32(len(p.queues)))
	copy(b[24:], id)
	for i, q := range p.queues {
		at := b[paramStart+i*queueParamSize:]
		ne.PutUint32(at, uint32(q.port))
		for k, r := range q.refs {
			ne.PutUint32(at[4+4*k:], uint32(r))
		}
	}
	ne.PutUint64(b, journalMagic) // last: without it the page means nothing
	return nil
}

// decodeParams reads a journal's first page. Only programs of ours write it, but one
// may have been killed while it did.
func decodeParams(b []byte) (*params, error) {
	ne := binary.NativeEndian
	if len(b) < journalHeader || ne.Uint64(b) != journalMagic {
		return nil, fmt.Errorf("%w: it was not finished", ErrJournal)
	}
	p := &params{layout: blkif.Layout(ne.Uint32(b[8:])), pages: int(ne.Uint32(b[12:])), id: hex.EncodeToString(b[24:40])}
	n := int(ne.Uint32(b[16:]))
	if p.layout > blkif.X86_32 || p.pages < 1 || p.pages > maxRingPages || n < 1 || n > maxQueues {
		return nil, fmt.Errorf("%w: layout %d, %d pages, %d queues", ErrJournal, p.layout, p.pages, n)
	}
	for i := range n {
		at := b[paramStart+i*queueParamSize:]
		q := queueParams{port: abi.Port(ne.Uint32(at))}
		for k := range p.pages {
			q.refs = append(q.refs, abi.GrantRef(ne.Uint32(at[4+4*k:])))
		}
		p.queues = append(p.queues, q)
	}
	if len(b) != p.size() {
		return nil, fmt.Errorf("%w: %d bytes, want %d", ErrJournal, len(b), p.size())
	}
	return p, nil
}

// section is the part of the journal that belongs to one queue. Its rules make every
// moment a safe one to be killed at, since the memory outlives the process and a
// processor's stores become visible in their order:
//
//   - An entry is written before the index of taken requests covers it: a request is
//     either still in the ring or in the journal, never both.
//   - An entry is marked as answered, with the index of its response, after the
//     response is in the ring and before the journal's index of responses covers it.
//     That index decides: covered, the request is done, though the ring's own index may
//     still have to be stored again, which does no harm; not covered, the request is
//     done once more, which the guest cannot tell, as it has no answer yet.
//   - An entry becomes free after that.
type section struct {
	b    []byte
	free []uint16
}

// sections cuts a journal's memory.
func sections(b []byte, p *params) []*section {
	n := queueHead + int(p.slots())*entrySize
	var list []*section
	for i := range p.queues {
		at := journalHeader + i*n
		list = append(list, &section{b: b[at : at+n : at+n]})
	}
	return list
}

func (s *section) word(off int) *uint32 { return (*uint32)(unsafe.Pointer(&s.b[off])) }
func (s *section) taken() *uint32       { return s.word(0) }
func (s *section) answered() *uint32    { return s.word(4) }
func (s *section) slots() int           { return (len(s.b) - queueHead) / entrySize }

// The words of an entry: state, index of the request, index of the response.
func (s *section) entry(e uint16, word int) *uint32 {
	return s.word(queueHead + int(e)*entrySize + 4*word)
}

func (s *section) slot(e uint16) []byte {
	at := queueHead + int(e)*entrySize + entrySlot
	return s.b[at : at+entrySize-entrySlot]
}

// reset empties a section for a ring that stands at index at.
func (s *section) reset(at uint32) {
	clear(s.b)
	s.free = s.free[:0]
	for e := s.slots() - 1; e >= 0; e-- {
		s.free = append(s.free, uint16(e))
	}
	atomic.StoreUint32(s.answered(), at)
	atomic.StoreUint32(s.taken(), at)
}

// begin notes the request with index i. There is a free entry, as there are as many
// as requests can be outstanding.
func (s *section) begin(i uint32, slot []byte) uint16 {
	e := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	copy(s.slot(e), slot)
	atomic.StoreUint32(s.entry(e, 1), i)
	atomic.StoreUint32(s.entry(e, 0), entryTaken)
	atomic.StoreUint32(s.taken(), i+1)
	return e
}

// answer notes that the response to e is in the ring at index i.
func (s *section) answer(e uint16, i uint32) {
	atomic.StoreUint32(s.entry(e, 2), i)
	atomic.StoreUint32(s.entry(e, 0), entryAnswered)
}

// commit makes the responses before index i final.
func (s *section) commit(i uint32) { atomic.StoreUint32(s.answered(), i) }

// done frees an entry whose response is final.
func (s *section) done(e uint16) {
	atomic.StoreUint32(s.entry(e, 0), entryFree)
	s.free = append(s.free, e)
}

// recover returns the entries that have to be done once more, in the order in which
// the guest sent them, and frees the others.
func (s *section) recover() (todo []uint16, err error) {
	taken, answered := *s.taken(), *s.answered()
	s.free = s.free[:0]
	for n := s.slots() - 1; n >= 0; n-- {
		e := uint16(n)
		state, i, rsp := *s.entry(e, 0), *s.entry(e, 1), *s.entry(e, 2)
		switch {
		case state > entryAnswered:
			return nil, fmt.Errorf("%w: entry %d in state %d", ErrJournal, e, state)
		case state == entryTaken && before(i, taken), state == entryAnswered && !before(rsp, answered):
			atomic.StoreUint32(s.entry(e, 0), entryTaken)
			todo = append(todo, e)
		default: // free; still in the ring; or final
			atomic.StoreUint32(s.entry(e, 0), entryFree)
			s.free = append(s.free, e)
		}
	}
	if want := taken - answered; uint32(len(todo)) != want {
		return nil, fmt.Errorf("%w: %d requests, but %d taken and %d answered", ErrJournal, len(todo), taken, answered)
	}
	slices.SortFunc(todo, func(a, b uint16) int { return int(int32(*s.entry(a, 1) - *s.entry(b, 1))) })
	return todo, nil
}

// before compares free-running indices.
func before(i, limit uint32) bool { return int32(limit-i) > 0 }
