package console

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"
)

// The page of struct xencons_interface. In and out are as the guest sees them. The
// indices run freely and wrap at 2^32; a byte lies at its index modulo the size of
// the array. The last field is there since 4.21, older guests leave it alone.
const (
	inOffset   = 0
	inSize     = 1024
	outOffset  = 1024
	outSize    = 2048
	inConsAt   = 3072
	inProdAt   = 3076
	outConsAt  = 3080
	outProdAt  = 3084
	connected  = 3088 // one byte
	pageSize   = 4096
	isAttached = 0 // XENCONSOLE_CONNECTED
)

// ErrRing is a ring whose indices make no sense. It is the guest's doing.
var ErrRing = errors.New("broken console ring")

// index returns one of the four indices of a page. Pages lie at page borders, so
// that the word is aligned.
func index(page []byte, at int) *uint32 {
	_ = page[pageSize-1]
	return (*uint32)(unsafe.Pointer(&page[at]))
}

// peekOutput copies what the guest has printed and we have not taken yet to dst,
// which has outSize bytes. From is the index of the first byte. Nothing is taken
// until takeOutput.
func peekOutput(page, dst []byte) (n int, from uint32, err error) {
	from = atomic.LoadUint32(index(page, outConsAt))
	prod := atomic.LoadUint32(index(page, outProdAt)) // ordered before the copy
	have := prod - from
	if have > outSize {
		return 0, from, fmt.Errorf("%w: %d bytes printed, %d fit", ErrRing, have, outSize)
	}
	return copyOut(dst[:have], page[outOffset:outOffset+outSize], from), from, nil
}

// copyOut fills dst from the circular array ring, starting at index from.
func copyOut(dst, ring []byte, from uint32) int {
	n := copy(dst, ring[int(from)%len(ring):])
	return n + copy(dst[n:], ring)
}

// takeOutput tells the guest that all bytes before index next are taken.
func takeOutput(page []byte, next uint32) {
	atomic.StoreUint32(index(page, outConsAt), next)
}

// inputRoom returns how many bytes the guest can be sent now; 0 if its indices are
// broken.
func inputRoom(page []byte) int {
	cons := atomic.LoadUint32(index(page, inConsAt))
	used := atomic.LoadUint32(index(page, inProdAt)) - cons
	if used > inSize {
		return 0
	}
	return inSize - int(used)
}

// putInput sends the guest as much of src as there is room for, and returns how
// much that was.
func putInput(page, src []byte) int {
	cons := atomic.LoadUint32(index(page, inConsAt))
	prod := atomic.LoadUint32(index(page, inProdAt))
	used := prod - cons
	if used > inSize {
		return 0
	}
	src = src[:min(len(src), inSize-int(used))]
	ring := page[inOffset : inOffset+inSize]
	n := copy(ring[prod%inSize:], src)
	copy(ring, src[n:])
	atomic.StoreUint32(index(page, inProdAt), prod+uint32(len(src)))
	return len(src)
}

// markConnected tells the guest that its ring is emptied from now on.
func markConnected(page []byte) { page[connected] = isAttached }
