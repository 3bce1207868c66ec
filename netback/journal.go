package netback

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"goxl/netback/netif"
	"goxl/netback/tap"
)

// A response overwrites the request in its slot before the guest sees that it is
// there. If this process is killed in between, the next one would take the response
// for a request. A journal is memory that outlives the process; it tells how far
// responses may have been written, and the ids of their requests.

// Layout of a ring's journal: the index behind the last response that may have been
// written, padding, then an id for each slot.
const (
	journalSlots = 256
	journalIDs   = 8
	journalSize  = journalIDs + 2*journalSlots
	journalQueue = 2048 // for the two rings of a queue
)

// journal is of one ring. It belongs to the goroutine of the ring.
type journal struct{ b []byte }

// newJournal lays a journal over part of a queue's memory.
func newJournal(mem []byte, queue int, rx bool) journal {
	off := queue * journalQueue
	if rx {
		off += journalQueue / 2
	}
	return journal{mem[off : off+journalSize : off+journalSize]}
}

func (j journal) end() *uint32 { return (*uint32)(unsafe.Pointer(unsafe.SliceData(j.b))) }

// note says before responses are written that they will be, from index from on.
func (j journal) note(from uint32, ids []uint16) {
	for i, id := range ids {
		slot := (from + uint32(i)) % journalSlots
		binary.LittleEndian.PutUint16(j.b[journalIDs+2*slot:], id)
	}
	atomic.StoreUint32(j.end(), from+uint32(len(ids)))
}

// start forgets everything: nothing is written beyond index at.
func (j journal) start(at uint32) { atomic.StoreUint32(j.end(), at) }

// lost returns the ids of the requests from index from on whose slots an earlier
// process may have overwritten without telling the guest.
func (j journal) lost(from uint32) []uint16 {
	n := atomic.LoadUint32(j.end()) - from
	if n > journalSlots {
		return nil
	}
	ids := make([]uint16, n)
	for i := range ids {
		slot := (from + uint32(i)) % journalSlots
		ids[i] = binary.LittleEndian.Uint16(j.b[journalIDs+2*slot:])
	}
	return ids
}

// Layout of the control ring's journal: the index behind the last answer that may have
// been written, which of two places has the settings, that answer, the two places.
const (
	ctrlJournalAt   = journalQueue * tap.MaxQueues // behind the journals of all queues that there may be
	ctrlAnswer      = 8
	ctrlSettings    = 32
	ctrlJournalSize = ctrlSettings + 2*hashingSize
	vifJournalSize  = ctrlJournalAt + ctrlJournalSize
)

// ctrlJournal is of the control ring. It belongs to the goroutine of that ring.
type ctrlJournal struct{ b []byte }

// newCtrlJournal lays a journal over a part of a vif's memory.
func newCtrlJournal(mem []byte) ctrlJournal {
	return ctrlJournal{mem[ctrlJournalAt:vifJournalSize:vifJournalSize]}
}

func (j ctrlJournal) word(at int) *uint32 { return (*uint32)(unsafe.Pointer(&j.b[at])) }

func (j ctrlJournal) place(n uint32) []byte {
	return j.b[ctrlSettings+int(n&1)*hashingSize:][:hashingSize]
}

// hashing returns the settings that were kept last, the zero ones if none were.
func (j ctrlJournal) hashing(queues int) (*hashing, error) {
	return parseHashing(j.place(atomic.LoadUint32(j.word(4))), queues)
}

// keep keeps settings. Killed at any time, they are the old or the new ones.
func (j ctrlJournal) keep(h *hashing) {
	next := atomic.LoadUint32(j.word(4)) + 1
	h.put(j.place(next))
	atomic.StoreUint32(j.word(4), next)
}

// start forgets the answer: none is written beyond index at.
func (j ctrlJournal) start(at uint32) { atomic.StoreUint32(j.word(0), at) }

// note says before an answer is written at index at what it will be.
func (j ctrlJournal) note(at uint32, rsp netif.CtrlResponse) {
	rsp.Put(j.b[ctrlAnswer:])
	atomic.StoreUint32(j.word(0), at+1)
}

// lost returns the answer at index at if an earlier process may have written it
// without telling the guest.
func (j ctrlJournal) lost(at uint32) (netif.CtrlResponse, bool) {
	return netif.ParseCtrlResponse(j.b[ctrlAnswer:]), atomic.LoadUint32(j.word(0))-at == 1
}
