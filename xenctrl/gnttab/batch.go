package gnttab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"goxl/xenctrl/abi"
)

// MaxBatch is the most copies one batch may hold; the kernel takes any number.
const MaxBatch = 4096

// The kernel's list of copies. Source: Linux, include/uapi/xen/gntdev.h.
const (
	copySegmentSize   = 24
	copySourceIsGrant = 1
	copyDestIsGrant   = 2
)

// Busy pages come back after a moment; a copy waits for them this long.
const (
	busyTries = 1000
	busyPause = 100 * time.Microsecond
)

// Op is one copy between our memory and a granted page.
type Op struct {
	Grant
	Offset  uint16 // in the granted page; Offset+len(Local) does not cross its end
	Local   []byte // not empty
	ToGrant bool   // from Local to the granted page, else the other way

	// Status is the outcome after Run, per copy: what a guest granted wrongly is
	// its own fault and no error of the others.
	Status Status
}

func (o *Op) check() error {
	if n := len(o.Local); n == 0 || int(o.Offset)+n > abi.PageSize {
		return fmt.Errorf("%d bytes at offset %d do not lie in one page", n, o.Offset)
	}
	return nil
}

// Batch is a list of copies that are made with one request. Used again and again it
// allocates nothing, unlike Copy. It belongs to one goroutine. Local memory should
// lie in whole pages that are not Go's, since the kernel pins them for a moment.
type Batch struct {
	Ops []Op // what Run copies, in no particular order

	// Quiet has Go's runtime not told of the system call, whose watching of threads in
	// those costs more than a copy does. It is for a goroutine that has a processor of
	// the runtime to itself. Garbage collection waits for a copy's end then: when a page
	// of the other domain is paged out, for up to half a minute.
	Quiet bool

	run   func([]*Op) error
	list  []byte
	todo  []*Op
	retry []*Op
}

// NewBatchFunc returns a batch whose copies run makes: it sets the status of each.
// It serves tests that have no Xen.
func NewBatchFunc(run func([]*Op) error) *Batch { return &Batch{run: run} }

// Reset empties the list.
func (b *Batch) Reset() {
	clear(b.Ops) // forget the memory
	b.Ops = b.Ops[:0]
}

// Run makes all copies. An error says that the request as a whole failed; what became
// of a single copy is in its Status. Pages that their owner has paged out are
// waited for, up to a tenth of a second in all.
func (b *Batch) Run() error {
	if len(b.Ops) == 0 {
		return nil
	}
	if len(b.Ops) > MaxBatch {
		return opError("copy", fmt.Errorf("%d copies in a batch, want up to %d", len(b.Ops), MaxBatch))
	}
	b.todo = b.todo[:0]
	for i := range b.Ops {
		if err := b.Ops[i].check(); err != nil {
			return opError("copy", &CopyError{i, err})
		}
		b.todo = append(b.todo, &b.Ops[i])
	}
	for try := 0; ; try++ {
		if err := b.run(b.todo); err != nil {
			return opError(fmt.Sprintf("copy %d pieces", len(b.todo)), err)
		}
		b.retry = b.retry[:0]
		for _, o := range b.todo {
			if o.Status == abi.GrantTryAgain {
				b.retry = append(b.retry, o)
			}
		}
		if len(b.retry) == 0 || try == busyTries {
			return nil
		}
		b.todo, b.retry = b.retry, b.todo
		time.Sleep(busyPause)
	}
}

var errStatusMissing = errors.New("no status from the kernel")

// encode writes the kernel's list. Source: struct gntdev_grant_copy_segment.
func (b *Batch) encode(ops []*Op) []byte {
	le := binary.LittleEndian
	l := b.list[:0]
	for _, o := range ops {
		local := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(o.Local))))
		grant := uint64(o.Ref) | uint64(o.Offset)<<32 | uint64(o.Dom)<<48
		flags := uint16(copySourceIsGrant)
		if o.ToGrant {
			local, grant, flags = grant, local, copyDestIsGrant
		}
		l = le.AppendUint64(l, grant)
		l = le.AppendUint64(l, local)
		l = le.AppendUint16(l, uint16(len(o.Local)))
		l = le.AppendUint16(l, flags)
		l = le.AppendUint32(l, 0xffff_7fff) // a status that Xen never gives
	}
	b.list = l
	return l
}

// decode sets what the kernel wrote to the list.
func (b *Batch) decode(ops []*Op) error {
	for n, o := range ops {
		s := int16(binary.LittleEndian.Uint16(b.list[n*copySegmentSize+20:]))
		if s == 0x7fff {
			return errStatusMissing
		}
		o.Status = Status(s)
	}
	return nil
}
