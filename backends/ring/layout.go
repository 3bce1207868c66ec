package ring

import (
	"errors"
	"fmt"
	"math/bits"
	"sync/atomic"
	"unsafe"

	"goxl/xenctrl/abi"
)

// Bytes of a slot: the larger of a request and a response.
const (
	BlkSlot     = 112 // blkif, 64-bit layout
	BlkSlot32   = 108 // blkif, 32-bit layout
	NetTxSlot   = 12
	NetRxSlot   = 8
	NetCtrlSlot = 16
)

// ErrRing says that the peer broke the rules of the ring. The device has to be
// closed; the ring's state means nothing any more.
var ErrRing = errors.New("shared ring is broken")

// Offsets in the first page. Source: struct __name##_sring of ring.h.
const (
	offReqProd  = 0  // written by the frontend
	offReqEvent = 4  // written by the backend
	offRspProd  = 8  // written by the backend
	offRspEvent = 12 // written by the frontend
	offSlots    = 64
)

// Entries returns how many slots of the given size a ring of so many pages has:
// a power of two, or 0 when not even one fits.
func Entries(pages, slot int) uint32 {
	n := (pages*abi.PageSize - offSlots) / slot
	if n <= 0 {
		return 0
	}
	return 1 << (bits.Len(uint(n)) - 1)
}

// shared is the memory of a ring.
type shared struct {
	mem  []byte
	slot int
	size uint32 // slots, a power of two

	reqProd, reqEvent, rspProd, rspEvent *uint32
}

// newShared lays a ring over mem, which must be whole pages.
func newShared(mem []byte, slot int) (shared, error) {
	n := Entries(len(mem)/abi.PageSize, max(slot, 1))
	switch {
	case slot < 4 || slot%4 != 0:
		return shared{}, fmt.Errorf("ring: slots of %d bytes, want a multiple of 4", slot)
	case len(mem) == 0 || len(mem)%abi.PageSize != 0 || n == 0:
		return shared{}, fmt.Errorf("ring: %d bytes of memory, want whole pages with room for a slot", len(mem))
	case uintptr(unsafe.Pointer(unsafe.SliceData(mem)))%8 != 0:
		return shared{}, errors.New("ring: memory is not aligned")
	}
	s := shared{mem: mem, slot: slot, size: n}
	s.reqProd, s.reqEvent = s.word(offReqProd), s.word(offReqEvent)
	s.rspProd, s.rspEvent = s.word(offRspProd), s.word(offRspEvent)
	return s, nil
}

func (s *shared) word(off int) *uint32 { return (*uint32)(unsafe.Pointer(&s.mem[off])) }

func (s *shared) at(i uint32) []byte {
	off := offSlots + int(i&(s.size-1))*s.slot
	return s.mem[off : off+s.slot : off+s.slot]
}

// load copies the start of slot i to dst, each word read once. The loads are
// atomic so that neither the compiler nor a later reader goes back to memory
// that the peer can change.
func (s *shared) load(dst []byte, i uint32) {
	src := s.at(i)
	for n := 0; n+4 <= len(dst); n += 4 {
		w := atomic.LoadUint32((*uint32)(unsafe.Pointer(&src[n])))
		dst[n], dst[n+1], dst[n+2], dst[n+3] = byte(w), byte(w>>8), byte(w>>16), byte(w>>24)
	}
}

// store writes src to slot i and zeroes the rest of the slot, so that nothing
// of an earlier request is left beside a response (XSA-216).
func (s *shared) store(i uint32, src []byte) {
	dst := s.at(i)
	clear(dst[copy(dst, src):])
}

// checkBuffer panics for a buffer that no caller may pass.
func (s *shared) checkBuffer(n int) {
	if n > s.slot || n%4 != 0 {
		panic(fmt.Sprintf("ring: buffer of %d bytes for slots of %d", n, s.slot))
	}
}
