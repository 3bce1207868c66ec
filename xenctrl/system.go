package xenctrl

// System is the ground that a Handle stands on: whoever makes its hypercalls
// and maps memory of other domains. On a Xen host that is the kernel's privcmd
// device; xentest puts an in-memory Xen there.
//
// All methods may be called from several goroutines at once. Errors are
// errnos, possibly wrapped.
type System interface {
	// Hypercall makes hypercall op and returns its result. Arguments are
	// numbers, or addresses within buffers from Alloc; memory of Go's own is
	// never passed.
	Hypercall(op uint64, args [5]uint64) (int64, error)

	// Alloc returns memory that Xen may read and write: zeroed, contiguous in
	// our address space, never moved, swapped or shared by a fork.
	Alloc(pages int) (Buffer, error)
	// Free takes a buffer back.
	Free(Buffer) error

	// MapForeign maps frames of another domain next to each other. It sets
	// errs[i], which has a place for each frame, for a frame that could not be
	// mapped; the error is for everything else.
	MapForeign(dom DomID, frames []GFN, prot Prot, errs []error) ([]byte, error)
	// MapResource maps n frames from first on of one of Xen's own tables that
	// belong to a domain.
	MapResource(dom DomID, r Resource, first uint64, n int, prot Prot) ([]byte, error)
	// ResourceFrames returns how many frames a resource has.
	ResourceFrames(dom DomID, r Resource) (int, error)
	// Unmap ends a mapping of MapForeign or MapResource. Nobody may touch it
	// afterwards.
	Unmap([]byte) error

	// DMOp makes a device model operation; bufs[0] is the operation itself.
	DMOp(dom DomID, bufs [][]byte) error

	// Syscalls returns how often each system call was made so far.
	Syscalls() map[string]uint64
	// Close releases the devices. Mappings stay valid until unmapped.
	Close() error
}

// Prot says what a mapping may be used for.
type Prot int

// The kinds of access to a mapping.
const (
	ProtRead      Prot = 1
	ProtWrite     Prot = 2
	ProtReadWrite Prot = ProtRead | ProtWrite
)

// Resource names one of Xen's tables that a domain has.
type Resource struct {
	Type uint16 // abi.ResourceGrantTable, …
	ID   uint32 // abi.ResourceGrantShared, an ioreq server, a vcpu
}

// Buffer is memory that Xen may use, with the address to tell Xen.
type Buffer struct {
	addr uint64
	b    []byte
}

// NewBuffer makes a Buffer of memory b that Xen knows as addr. It is for
// implementations of System.
func NewBuffer(addr uint64, b []byte) Buffer { return Buffer{addr, b} }

// Addr returns the address of the first byte for Xen.
func (b Buffer) Addr() uint64 { return b.addr }

// Bytes returns the memory. It is valid until the buffer goes back to the System.
func (b Buffer) Bytes() []byte { return b.b }
