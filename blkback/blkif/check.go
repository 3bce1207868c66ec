package blkif

// Disk is what a request is checked against: the disk, and what its frontend was
// offered.
type Disk struct {
	Sectors     uint64 // of 512 bytes
	SectorSize  int    // bytes; requests are multiples of it, on boundaries of it
	ReadOnly    bool
	Discard     bool
	Secure      bool // secure discard
	MaxIndirect int  // segments of an indirect request; 0 is none
}

// Check tells whether r may be carried out, before anything is done for it, and how
// many bytes it reads or writes, with segs its segments: those of r, or those of an
// indirect request's pages. A status other than OK is the answer to the guest, whose
// ring goes on.
func (r *Request) Check(d *Disk, segs []Segment) (int, Status) {
	switch r.Op {
	case Read, Write, Barrier, Flush:
	case Discard:
		return 0, r.checkDiscard(d)
	default:
		return 0, Unsupported
	}
	if s := r.CheckCount(d); s != OK {
		return 0, s
	}
	if d.ReadOnly && (r.Op == Write || r.Op == Barrier || r.Op == Flush && r.Count > 0) {
		return 0, Error
	}
	n := 0
	for _, s := range segs {
		if s.First > s.Last || s.Last >= sectorsPerPage {
			return 0, Error
		}
		n += s.Len()
	}
	if n > 0 && !d.holds(r.Sector, uint64(n)/SectorSize) {
		return 0, Error
	}
	return n, OK
}

// CheckCount tells whether the number of segments may be, before they are looked at.
func (r *Request) CheckCount(d *Disk) Status {
	switch {
	case r.Indirect && d.MaxIndirect == 0, r.Indirect && r.Op != Read && r.Op != Write:
		return Unsupported
	case r.Indirect && (r.Count == 0 || r.Count > min(d.MaxIndirect, MaxPages*SegmentsPerPage)):
		return Error
	case !r.Indirect && r.Count > MaxSegments:
		return Error
	case r.Count == 0 && (r.Op == Read || r.Op == Write):
		return Error
	}
	return OK
}

// PageCount is how many pages the segments of an indirect request fill.
func (r *Request) PageCount() int { return (r.Count + SegmentsPerPage - 1) / SegmentsPerPage }

func (r *Request) checkDiscard(d *Disk) Status {
	switch {
	case !d.Discard || r.Indirect || r.Secure && !d.Secure:
		return Unsupported
	case d.ReadOnly || !d.holds(r.Sector, r.Sectors):
		return Error
	}
	return OK
}

// holds reports whether n sectors from the first one lie on the disk, and on
// boundaries of its own sectors.
func (d *Disk) holds(first, n uint64) bool {
	unit := uint64(max(d.SectorSize/SectorSize, 1))
	return n <= d.Sectors && first <= d.Sectors-n && first%unit == 0 && n%unit == 0
}
