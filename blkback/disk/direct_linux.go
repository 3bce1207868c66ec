package disk

import (
	"errors"
	"io"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bounceSize is how much of a request that is not aligned goes at a time.
const bounceSize = 256 << 10

// maxAlign is the largest alignment that bounce buffers have; a file that needs
// more is not opened for direct I/O.
const maxAlign = 4096

// bounces are aligned buffers for requests that are not.
var bounces = sync.Pool{New: func() any {
	b := make([]byte, bounceSize+maxAlign)
	skip := -uintptr(unsafe.Pointer(&b[0])) & (maxAlign - 1)
	b = b[skip : skip+bounceSize : skip+bounceSize]
	return &b
}}

// alignDirect finds out what alignment direct I/O needs, and gives direct I/O up
// where it would not fit.
func (h *file) alignDirect() {
	h.memAlign, h.offAlign = h.kernelAlign()
	if h.memAlign == 0 {
		h.memAlign, h.offAlign = h.probeAlign()
	}
	if h.memAlign == 0 || h.memAlign > maxAlign || h.offAlign > maxAlign {
		h.endDirect()
	}
}

// kernelAlign asks the kernel (since Linux 6.1); 0 when it does not tell.
func (h *file) kernelAlign() (mem, off int) {
	var st unix.Statx_t
	err := h.control(func(fd int) error {
		return unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_DIOALIGN, &st)
	})
	if err != nil || st.Mask&unix.STATX_DIOALIGN == 0 {
		return 0, 0
	}
	return int(st.Dio_mem_align), int(st.Dio_offset_align)
}

// probeAlign tries which reads are taken. A block device says it by its sectors.
func (h *file) probeAlign() (mem, off int) {
	if h.block {
		return h.sector, h.sector
	}
	b := bounces.Get().(*[]byte)
	defer bounces.Put(b)
	for n := 512; n <= maxAlign; n *= 2 {
		// From n bytes into a page, so that the address has just this alignment.
		at := n % maxAlign
		if _, err := h.f.ReadAt((*b)[at:at+n], int64(at)); err == nil || errors.Is(err, io.EOF) {
			return n, n
		}
	}
	return 0, 0
}

// endDirect goes on through the page cache.
func (h *file) endDirect() {
	h.direct = false
	h.control(func(fd int) error {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if err == nil {
			_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags&^unix.O_DIRECT)
		}
		return err
	})
}

func (h *file) aligned(p []byte, off int64) bool {
	mask := uint64(h.offAlign - 1)
	return (uint64(off)|uint64(len(p)))&mask == 0 &&
		uintptr(unsafe.Pointer(unsafe.SliceData(p)))&uintptr(h.memAlign-1) == 0
}

// ReadAt reads like [os.File]: less than len(p) only at the file's end, with io.EOF.
func (h *file) ReadAt(p []byte, off int64) (int, error) {
	if !h.direct || h.aligned(p, off) {
		return h.f.ReadAt(p, off)
	}
	b := bounces.Get().(*[]byte)
	defer bounces.Put(b)
	done := 0
	for done < len(p) {
		n, err := h.readBounced(*b, p[done:], off+int64(done))
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// readBounced reads the start of p by way of b.
func (h *file) readBounced(b, p []byte, off int64) (int, error) {
	start := off &^ int64(h.offAlign-1)
	skip := int(off - start)
	want := min(len(p), len(b)-skip)
	n, err := h.f.ReadAt(b[:h.roundUp(skip+want)], start)
	n = copy(p[:want], b[min(skip, n):n])
	if n == want {
		err = nil
	}
	return n, err
}

func (h *file) roundUp(n int) int { return (n + h.offAlign - 1) &^ (h.offAlign - 1) }

// WriteAt writes all of p or returns an error.
func (h *file) WriteAt(p []byte, off int64) (int, error) {
	if !h.direct {
		n, err := h.f.WriteAt(p, off)
		h.written(off + int64(n))
		return n, err
	}
	if h.aligned(p, off) {
		h.rmw.RLock()
		defer h.rmw.RUnlock()
		n, err := h.f.WriteAt(p, off)
		h.written(off + int64(n))
		return n, err
	}
	h.rmw.Lock() // no other write may touch the rest of the blocks meanwhile
	defer h.rmw.Unlock()
	b := bounces.Get().(*[]byte)
	defer bounces.Put(b)
	done := 0
	for done < len(p) {
		n, err := h.writeBounced(*b, p[done:], off+int64(done))
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// writeBounced writes the start of p by way of b, with what stands around it.
func (h *file) writeBounced(b, p []byte, off int64) (int, error) {
	start := off &^ int64(h.offAlign-1)
	skip := int(off - start)
	n := min(len(p), len(b)-skip)
	end := h.roundUp(skip + n)
	if skip > 0 {
		if err := h.readBlock(b[:h.offAlign], start); err != nil {
			return 0, err
		}
	}
	if last := end - h.offAlign; skip+n < end && (last > 0 || skip == 0) {
		if err := h.readBlock(b[last:end], start+int64(last)); err != nil {
			return 0, err
		}
	}
	copy(b[skip:], p[:n])
	if _, err := h.f.WriteAt(b[:end], start); err != nil {
		return 0, err
	}
	h.written(start + int64(end))
	return n, nil
}

// readBlock reads b, with zeroes for what lies behind the file's end.
func (h *file) readBlock(b []byte, off int64) error {
	n, err := h.f.ReadAt(b, off)
	if errors.Is(err, io.EOF) {
		clear(b[n:])
		err = nil
	}
	return err
}

// written notes that a file has become longer.
func (h *file) written(end int64) {
	for {
		size := h.size.Load()
		if end <= size || h.block || h.size.CompareAndSwap(size, end) {
			return
		}
	}
}
