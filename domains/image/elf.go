package image

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// The standard library's debug/elf is not used: it is made for files one
// trusts, reads every section header into memory before a caller can object,
// and resolves names and compressed sections that a loader has no use for.
// What a loader needs is two tables of fixed-size records; reading those with
// every offset checked is less code than fencing debug/elf in.

// Machine is the processor a kernel was built for: ELF's e_machine.
type Machine uint16

// The machines that Xen on x86 runs.
const (
	I386  Machine = 3  // EM_386
	AMD64 Machine = 62 // EM_X86_64
)

// Image is a parsed kernel. It refers to the bytes, or the file, that it was
// parsed from.
type Image struct {
	Machine  Machine
	Bits     int       // 32 or 64: the class of the ELF file
	Entry    uint64    // e_entry, what hvmloader starts at
	Segments []Segment // to load, in file order, at least one
	Notes    Notes     // what the kernel says to Xen
}

// Segment is a piece of guest memory: the bytes that ReadAt gives at Addr, then
// zeroes up to Size.
type Segment struct {
	Addr     uint64 // p_paddr
	Size     uint64 // bytes in memory, not less than FileSize
	FileSize uint64
	off      int64
	r        io.ReaderAt
}

// ReadAt reads of the segment's FileSize bytes, as io.ReaderAt.
func (s *Segment) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || uint64(off) >= s.FileSize {
		return 0, io.EOF
	}
	if room := s.FileSize - uint64(off); uint64(len(p)) > room {
		n, err := s.r.ReadAt(p[:room], s.off+off)
		if err == nil {
			err = io.EOF
		}
		return n, err
	}
	return s.r.ReadAt(p, s.off+off)
}

// Bounds on what a kernel may have. Linux has half a dozen segments, and some
// 50 sections.
const (
	maxSegments = 128
	maxSections = 4096
	maxNotes    = 65536   // libelf's ELF_MAX_TOTAL_NOTE_COUNT
	maxMeta     = 4 << 20 // bytes of any one table
)

const (
	ptLoad = 1
	ptNote = 4

	shtNote = 7
)

// elfFile is an ELF file whose header was checked.
type elfFile struct {
	r        io.ReaderAt
	size     uint64
	ph, sh   []byte // the tables
	wide     bool   // 64-bit records
	phoff    uint64
	shoff    uint64
	phnum    int
	shnum    int
	phsize   int
	shsize   int
	shstrndx int
	entry    uint64
	machine  Machine
}

// Parse reads the ELF file b, which Unpack returned. The image refers to b.
func Parse(b []byte) (*Image, error) { return ParseFile(bytes.NewReader(b), int64(len(b))) }

// ParseFile reads an ELF file of size bytes from r. Of the segments it reads
// nothing: the image refers to r, which must not change and must stay open for
// as long as the image is used. A failing read matches no ErrFormat.
func ParseFile(r io.ReaderAt, size int64) (*Image, error) {
	f, err := openELF(r, uint64(max(size, 0)))
	if err != nil {
		return nil, err
	}
	im := &Image{Machine: f.machine, Bits: 32, Entry: f.entry}
	if f.wide {
		im.Bits = 64
	}
	if im.Segments, err = f.segments(); err != nil {
		return nil, err
	}
	if im.Notes, err = f.notes(); err != nil {
		return nil, err
	}
	return im, nil
}

func openELF(r io.ReaderAt, size uint64) (*elfFile, error) {
	b := make([]byte, min(size, 64))
	if _, err := r.ReadAt(b, 0); err != nil && err != io.EOF {
		return nil, fmt.Errorf("read kernel: %w", err)
	}
	if !IsELF(b) || len(b) < 52 {
		return nil, badf("not an ELF file: starts with % x", head(b, 8))
	}
	f := &elfFile{r: r, size: size, wide: b[4] == 2}
	if b[4] != 1 && b[4] != 2 {
		return nil, badf("ELF file of class %d, neither 32 nor 64 bits", b[4])
	}
	if b[5] != 1 {
		return nil, badf("big-endian ELF file: not for x86")
	}
	le := binary.LittleEndian
	f.machine = Machine(le.Uint16(b[18:]))
	if f.machine != I386 && f.machine != AMD64 {
		return nil, badf("ELF file for machine %d: not for x86 (a kernel of another architecture?)", f.machine)
	}
	tail := b[40:]
	if f.wide {
		if len(b) < 64 {
			return nil, badf("ELF header cut short")
		}
		f.entry, f.phoff, f.shoff = le.Uint64(b[24:]), le.Uint64(b[32:]), le.Uint64(b[40:])
		tail = b[52:]
	} else {
		f.entry, f.phoff, f.shoff = uint64(le.Uint32(b[24:])), uint64(le.Uint32(b[28:])), uint64(le.Uint32(b[32:]))
	}
	f.phsize, f.phnum = int(le.Uint16(tail[2:])), int(le.Uint16(tail[4:]))
	f.shsize, f.shnum = int(le.Uint16(tail[6:])), int(le.Uint16(tail[8:]))
	f.shstrndx = int(le.Uint16(tail[10:]))
	return f, f.checkTables()
}

func (f *elfFile) checkTables() error {
	minPh, minSh := 32, 40
	if f.wide {
		minPh, minSh = 56, 64
	}
	switch {
	case f.phnum == 0:
		return badf("ELF file without program headers: an object file, not a kernel")
	case f.phnum > maxSegments:
		return badf("ELF file with %d program headers, at most %d are accepted", f.phnum, maxSegments)
	case f.phsize < minPh:
		return badf("ELF program headers of %d bytes", f.phsize)
	}
	var err error
	if f.ph, err = f.slice(f.phoff, uint64(f.phnum)*uint64(f.phsize)); err != nil {
		return bad(err, "ELF program headers")
	}
	// Sections are a last resort for notes: a bad table counts as none.
	if f.shsize < minSh || f.shnum > maxSections {
		f.shnum = 0
	}
	if f.sh, err = f.slice(f.shoff, uint64(f.shnum)*uint64(f.shsize)); err != nil {
		f.shnum = 0
	}
	return nil
}

// has reports whether the file has n bytes at off.
func (f *elfFile) has(off, n uint64) bool { return off <= f.size && n <= f.size-off }

// slice reads n bytes at off of what is about the kernel, not of it.
func (f *elfFile) slice(off, n uint64) ([]byte, error) {
	if !f.has(off, n) {
		return nil, fmt.Errorf("%d bytes at %#x lie beyond the file's %d", n, off, f.size)
	}
	if n > maxMeta {
		return nil, fmt.Errorf("%d bytes at %#x: at most %d are read", n, off, maxMeta)
	}
	b := make([]byte, n)
	if got, err := f.r.ReadAt(b, int64(off)); uint64(got) < n {
		return nil, err
	}
	return b, nil
}

// progHeader is a program header, or the same facts of a section.
type progHeader struct {
	kind, flags                   uint32
	off, paddr, fileSize, memSize uint64
}

func (f *elfFile) prog(i int) progHeader {
	b := f.ph[i*f.phsize:]
	le := binary.LittleEndian
	if f.wide {
		return progHeader{le.Uint32(b), le.Uint32(b[4:]), le.Uint64(b[8:]), le.Uint64(b[24:]), le.Uint64(b[32:]), le.Uint64(b[40:])}
	}
	return progHeader{le.Uint32(b), le.Uint32(b[24:]), uint64(le.Uint32(b[4:])), uint64(le.Uint32(b[12:])),
		uint64(le.Uint32(b[16:])), uint64(le.Uint32(b[20:]))}
}

// section returns type, name offset, file offset and size of section i.
func (f *elfFile) section(i int) (kind, name uint32, off, size uint64) {
	b := f.sh[i*f.shsize:]
	le := binary.LittleEndian
	if f.wide {
		return le.Uint32(b[4:]), le.Uint32(b), le.Uint64(b[24:]), le.Uint64(b[32:])
	}
	return le.Uint32(b[4:]), le.Uint32(b), uint64(le.Uint32(b[16:])), uint64(le.Uint32(b[20:]))
}

func (f *elfFile) segments() ([]Segment, error) {
	var segs []Segment
	for i := range f.phnum {
		p := f.prog(i)
		if p.kind != ptLoad || p.flags&7 == 0 || p.memSize == 0 { // as libelf: without any right it is not loaded
			continue
		}
		switch {
		case !f.has(p.off, p.fileSize):
			return nil, badf("ELF segment %d: %d bytes at %#x lie beyond the file's %d bytes (cut short?)",
				i, p.fileSize, p.off, f.size)
		case p.fileSize > p.memSize:
			return nil, badf("ELF segment %d: %d bytes in the file for %d in memory", i, p.fileSize, p.memSize)
		case p.paddr > math.MaxUint64-p.memSize:
			return nil, badf("ELF segment %d: wraps around the end of memory", i)
		}
		segs = append(segs, Segment{Addr: p.paddr, Size: p.memSize, FileSize: p.fileSize, off: int64(p.off), r: f.r})
	}
	if len(segs) == 0 {
		return nil, badf("ELF file with nothing to load")
	}
	return segs, nil
}

// Span returns the physical addresses from the lowest loaded byte to the one
// after the highest.
func (im *Image) Span() (start, end uint64) {
	start = math.MaxUint64
	for _, s := range im.Segments {
		start = min(start, s.Addr)
		end = max(end, s.Addr+s.Size)
	}
	return start, end
}
