package gnttab

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"goxl/xenctrl/abi"
)

// Copy copies each segment, in no particular order. A refused one is a
// *CopyError; others may have been copied then. It waits for pages that their
// owner has paged out.
func (c *Conn) Copy(segs []Segment) error {
	for i := range segs {
		if err := segs[i].check(); err != nil {
			return opError("copy", &CopyError{i, err})
		}
	}
	index := make([]int, len(segs))
	for i := range index {
		index[i] = i
	}
	for try := 0; len(index) > 0; try++ {
		busy, err := c.copyOnce(segs, index)
		if err != nil {
			return err
		}
		if len(busy) > 0 {
			if try >= busyTries {
				return opError("copy", &CopyError{busy[0], Status(abi.GrantTryAgain)})
			}
			time.Sleep(busyPause)
		}
		index = busy
	}
	return nil
}

// copyOnce makes one request for the given segments and returns the busy ones.
func (c *Conn) copyOnce(segs []Segment, index []int) ([]int, error) {
	list := make([]byte, 0, copySegmentSize*len(index))
	var pins runtime.Pinner
	defer pins.Unpin()
	for _, i := range index {
		list = appendSegment(list, &segs[i], &pins)
	}
	pins.Pin(unsafe.SliceData(list))
	arg := binary.LittleEndian.AppendUint32(nil, uint32(len(index)))
	arg = binary.LittleEndian.AppendUint32(arg, 0)
	arg = binary.LittleEndian.AppendUint64(arg, address(list))
	if err := ioctl(c.f, ioctlCopy, arg); err != nil {
		return nil, opError(fmt.Sprintf("copy %d segments", len(index)), err)
	}
	var busy []int
	for n, i := range index {
		switch s := Status(int16(binary.LittleEndian.Uint16(list[n*copySegmentSize+20:]))); s {
		case abi.GrantOK:
		case abi.GrantTryAgain:
			busy = append(busy, i)
		default:
			return nil, opError("copy", &CopyError{i, s})
		}
	}
	return busy, nil
}

func appendSegment(b []byte, s *Segment, pins *runtime.Pinner) []byte {
	var flags uint16
	if s.Src.Local == nil {
		flags |= copySourceIsGrant
	}
	if s.Dst.Local == nil {
		flags |= copyDestIsGrant
	}
	b = appendPlace(b, &s.Src, pins)
	b = appendPlace(b, &s.Dst, pins)
	b = binary.LittleEndian.AppendUint16(b, s.Len)
	b = binary.LittleEndian.AppendUint16(b, flags)
	return append(b, 0, 0, 0, 0)
}

func appendPlace(b []byte, p *Place, pins *runtime.Pinner) []byte {
	le := binary.LittleEndian
	if p.Local != nil {
		pins.Pin(unsafe.SliceData(p.Local)) // the kernel pins the page as well
		return le.AppendUint64(b, address(p.Local))
	}
	b = le.AppendUint32(b, uint32(p.Ref))
	b = le.AppendUint16(b, p.Offset)
	return le.AppendUint16(b, uint16(p.Dom))
}

func address(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }
