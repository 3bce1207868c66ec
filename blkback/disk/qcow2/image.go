package qcow2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// DefaultCache is how many bytes of mapping tables an image keeps in memory: with
// clusters of 64 KiB enough for 4 GiB of a disk.
const DefaultCache = 512 << 10

// Options say how to open an image.
type Options struct {
	ReadOnly bool
	// Cache bounds the mapping tables in memory, in bytes; 0 means DefaultCache.
	Cache int
	// Reserve bounds the clusters that are made ready for writes at a time, in bytes,
	// which is also what a crash may leak; 0 means DefaultReserve. Each time takes a
	// flush.
	Reserve int
	// Backing opens the backing file that the image names, with the format that the
	// image says, which may be empty. Both are as hostile as the image. Where it is
	// nil, an image with a backing file is refused.
	Backing func(name, format string) (Backing, error)
}

// Image is an open image. All methods may be called by many goroutines at once.
type Image struct {
	f       File
	h       *header
	geo     geometry
	backing Backing // nil: none

	readOnly bool
	fileSize int64        // when it was opened
	end      atomic.Int64 // of the file, rounded up to clusters: nothing lies beyond

	ranges ranges
	sync   flusher
	closed atomic.Bool
	once   sync.Once
	failed atomic.Pointer[error] // why nothing can be written any more
	tables atomic.Pointer[[3]extent]

	mapW    sync.Mutex // held to change L1 and L2 tables
	scratch []byte     // a slice of an L2 table, under mapW

	mapMu sync.RWMutex
	l1    []uint64
	l2    tableCache

	alloc    allocator
	inflated inflated
}

// Open opens the image in f. The image owns f from then on, and closes it, except
// after an error.
func Open(f File, o Options) (*Image, error) {
	h, err := readHeader(f)
	if err != nil {
		return nil, err
	}
	im := &Image{f: f, h: h, geo: geometry{h.clusterBits, h.version}, readOnly: o.ReadOnly, fileSize: f.Size()}
	im.end.Store(roundUp(im.fileSize, h.clusterSize()))
	im.sync.flush = im.flushFile
	im.ranges.init()
	if im.l1, err = im.readTable("L1 table", h.l1Off, h.l1Entries); err != nil {
		return nil, err
	}
	if err := im.readRefTable(); err != nil {
		return nil, err
	}
	im.noteTables()
	im.l2.init(sliceSize(h), max(o.Cache, 0))
	im.scratch = make([]byte, sliceSize(h))
	if im.alloc.limit = o.Reserve; o.Reserve <= 0 {
		im.alloc.limit = DefaultReserve
	}
	if !o.ReadOnly {
		if err := im.prepareWrites(); err != nil {
			return nil, err
		}
	}
	if err := im.openBacking(o); err != nil {
		return nil, err
	}
	return im, nil
}

// readHeader reads and checks the header of f.
func readHeader(f File) (*header, error) {
	size := f.Size()
	b := make([]byte, max(0, min(size, maxHeader)))
	if n, err := f.ReadAt(b, 0); err != nil && !(errors.Is(err, io.EOF) && n == len(b)) {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	return parseHeader(b, size)
}

// readTable reads n big-endian words. The header's check bounds n by the file.
func (im *Image) readTable(name string, off int64, n int) ([]uint64, error) {
	b := make([]byte, n*8)
	if err := im.readFull(b, off); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	t := make([]uint64, n)
	for i := range t {
		t[i] = binary.BigEndian.Uint64(b[i*8:])
	}
	return t, nil
}

// prepareWrites refuses what must not be written to, and makes the rest fit to be.
func (im *Image) prepareWrites() error {
	switch {
	case im.h.incompatible&featureCorrupt != 0:
		return fmt.Errorf("%w, says its header: repair it with qemu-img check -r all, or open it for reading only", ErrCorrupt)
	case im.h.incompatible&featureDirty != 0:
		return fmt.Errorf("%w: it was not closed cleanly and its reference counts may be wrong: "+
			"repair it with qemu-img check -r all, or open it for reading only", ErrCorrupt)
	}
	if end := im.end.Load(); im.f.Size() < end {
		if err := im.f.Grow(end); err != nil { // a device: its rest is no cluster
			im.end.Store(end - im.h.clusterSize())
		}
	}
	if im.h.autoclear == 0 {
		return nil
	}
	// What these bits vouch for, dirty bitmaps for one, our writes will not keep up.
	var none [8]byte
	if err := im.writeFull(none[:], 88); err != nil {
		return err
	}
	im.h.autoclear = 0
	return im.sync.run()
}

func (im *Image) openBacking(o Options) (err error) {
	if im.h.backing == "" {
		return nil
	}
	if o.Backing == nil {
		return fmt.Errorf("the image names a backing file, %q, and none is allowed", im.h.backing)
	}
	im.backing, err = o.Backing(im.h.backing, im.h.backingFormat)
	return err
}

// Size is the length of the disk in bytes, a multiple of 512.
func (im *Image) Size() int64 { return im.h.size &^ 511 }

// ClusterSize is the unit of allocation and of Discard, in bytes.
func (im *Image) ClusterSize() int { return int(im.h.clusterSize()) }

// Flush returns when every write that returned before would survive a loss of power.
func (im *Image) Flush() error {
	if im.closed.Load() {
		return ErrClosed
	}
	if im.readOnly {
		return nil
	}
	return im.flush()
}

func (im *Image) flush() error {
	freed := im.alloc.takeUnflushed()
	if err := im.sync.run(); err != nil {
		im.alloc.putUnflushed(freed)
		return err
	}
	return im.free(freed)
}

// flushFile is one flush of the file. What a failed one lost is unknown, so the
// order of all that follows would be too.
func (im *Image) flushFile() error {
	if err := im.check(); err != nil {
		return err
	}
	if err := im.f.Flush(); err != nil {
		return im.fail(err)
	}
	return nil
}

// fail ends all writing, for a reason after which the order of writes is not known
// to hold or the image's own content makes no sense.
func (im *Image) fail(err error) error {
	err = fmt.Errorf("no more writes to this image: %w", err)
	if im.failed.CompareAndSwap(nil, &err) && errors.Is(err, ErrCorrupt) && im.h.version >= 3 {
		var bits [8]byte
		binary.BigEndian.PutUint64(bits[:], im.h.incompatible|featureCorrupt)
		im.f.WriteAt(bits[:], 72) // the next opening must know; this one does already
	}
	return err
}

func (im *Image) check() error {
	if err := im.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Close waits for requests under way, gives the reserve of clusters back and closes
// the file and the backing file.
func (im *Image) Close() error {
	im.closed.Store(true)
	var err error
	im.once.Do(func() {
		im.ranges.idle()
		if !im.readOnly && im.check() == nil {
			err = errors.Join(im.flush(), im.releaseReserve())
		}
		if im.backing != nil {
			err = errors.Join(err, im.backing.Close())
		}
		err = errors.Join(err, im.f.Close())
	})
	return err
}

// hold takes a range of guest bytes for a request.
func (im *Image) hold(off, n int64, exclusive bool) (*span, error) {
	if n == 0 {
		n = 1
	}
	s := im.ranges.lock(off>>im.geo.clusterBits, (off+n-1)>>im.geo.clusterBits, exclusive)
	if im.closed.Load() {
		im.ranges.unlock(s)
		return nil, ErrClosed
	}
	return s, nil
}

func (im *Image) checkRange(off, n int64) error {
	if size := im.Size(); off < 0 || n < 0 || off > size || n > size-off {
		return fmt.Errorf("%d bytes at %d of %d: %w", n, off, size, ErrRange)
	}
	return nil
}

func roundUp(n, unit int64) int64 { return (n + unit - 1) &^ (unit - 1) }
