package stream

import (
	"encoding/binary"
	"strings"
)

// The records of disks, which go along with a guest from one goxl to another. They stand
// in libxl's stream, before the guest and after it, and in libxc's between pages. They are
// mandatory, so that nobody else takes such a stream for one without. The genuine tools
// number theirs from 0.
const (
	TypeDiskBegin = ours | (firstOfOurs + 0)
	TypeDiskData  = ours | (firstOfOurs + 1)
	TypeDiskZero  = ours | (firstOfOurs + 2)
	TypeDiskRound = ours | (firstOfOurs + 3)
	TypeDiskEnd   = ours | (firstOfOurs + 4)

	firstOfOurs = 0x676f0000 // "go"
)

var ourNames = [...]string{"GOXL_DISK_BEGIN", "GOXL_DISK_DATA", "GOXL_DISK_ZERO", "GOXL_DISK_ROUND", "GOXL_DISK_END"}

// Bounds of these records.
const (
	MaxDiskData = 4 << 20  // bytes of one DiskData
	MaxDisk     = 8 << 40  // of a disk
	MaxDisks    = 256      // of a guest
	maxDiskText = 64 + 128 // of a DiskBegin
)

// DiskBegin is a disk of which the contents come.
type DiskBegin struct {
	Disk      uint32 // its number in this stream, from 0
	Overwrite bool   // a file that is there may be replaced
	Size      uint64 // of the disk, in bytes, a multiple of 512
	Used      uint64 // that it takes in its file now, about
	Format    string // "raw" or "qcow2"
	Name      string // the guest's for it: "xvda"
}

// Type returns TypeDiskBegin.
func (*DiskBegin) Type() Type { return TypeDiskBegin }

// DiskData is what a part of a disk holds.
type DiskData struct {
	Disk   uint32
	Offset uint64
	Data   []byte
}

// Type returns TypeDiskData.
func (*DiskData) Type() Type { return TypeDiskData }

// DiskZero is a part of a disk that holds zeroes.
type DiskZero struct {
	Disk           uint32
	Offset, Length uint64
}

// Type returns TypeDiskZero.
func (*DiskZero) Type() Type { return TypeDiskZero }

// DiskRound says that each part of a disk that was sent so far was sent whole, in some
// state that it had.
type DiskRound struct{ Disk uint32 }

// Type returns TypeDiskRound.
func (*DiskRound) Type() Type { return TypeDiskRound }

// DiskEnd says that what was sent is the disk, and gives its checksum: see package
// migrate/disks.
type DiskEnd struct {
	Disk uint32
	Sum  [32]byte
}

// Type returns TypeDiskEnd.
func (*DiskEnd) Type() Type { return TypeDiskEnd }

// diskShape is shapeOf for these records.
func diskShape(t Type) shape {
	switch t {
	case TypeDiskBegin:
		return shape{24, 1, 24 + maxDiskText}
	case TypeDiskData:
		return shape{16, 512, 16 + MaxDiskData}
	case TypeDiskZero:
		return shape{24, 0, 24}
	case TypeDiskRound:
		return shape{8, 0, 8}
	}
	return shape{40, 0, 40}
}

// admitOurs tells whether a record of goxl's own may stand here.
func (r *rules) admitOurs() error {
	if r.state == inLibxl || r.state == inLibxc && r.memory {
		return nil
	}
	return bad("it does not stand where it belongs")
}

// appendDisk appends the first part of a record of a disk; tail is the second.
func appendDisk(b []byte, body Body) (out, tail []byte) {
	switch d := body.(type) {
	case *DiskBegin:
		flags := uint32(0)
		if d.Overwrite {
			flags = 1
		}
		b = append64(append32(b, d.Disk, flags), d.Size, d.Used)
		return append(append(append(b, d.Format...), 0), d.Name...), nil
	case *DiskData:
		return append64(append32(b, d.Disk, 0), d.Offset), d.Data
	case *DiskZero:
		return append64(append32(b, d.Disk, 0), d.Offset, d.Length), nil
	case *DiskRound:
		return append32(b, d.Disk, 0), nil
	case *DiskEnd:
		return append(append32(b, d.Disk, 0), d.Sum[:]...), nil
	}
	return b, nil
}

// decodeDisk reads the body b of a record of a disk.
func decodeDisk(t Type, b []byte, strict bool) (Body, error) {
	le := binary.LittleEndian
	disk, second, rest := le.Uint32(b), le.Uint32(b[4:]), b[8:]
	if t != TypeDiskBegin && strict {
		if err := reservedZero(second); err != nil {
			return nil, err
		}
	}
	switch t {
	case TypeDiskBegin:
		format, name, ok := strings.Cut(string(rest[16:]), "\x00")
		if !ok || second > 1 {
			return nil, bad("flags %#x, or no name", second)
		}
		return &DiskBegin{disk, second == 1, le.Uint64(rest), le.Uint64(rest[8:]), format, name}, nil
	case TypeDiskData:
		return &DiskData{disk, le.Uint64(rest), rest[8:]}, nil
	case TypeDiskZero:
		return &DiskZero{disk, le.Uint64(rest), le.Uint64(rest[8:])}, nil
	case TypeDiskRound:
		return &DiskRound{disk}, nil
	}
	return &DiskEnd{disk, [32]byte(rest)}, nil
}

// diskOf is the number of the disk that a record is about.
func diskOf(b Body) (uint32, bool) {
	switch d := b.(type) {
	case *DiskBegin:
		return d.Disk, true
	case *DiskData:
		return d.Disk, true
	case *DiskZero:
		return d.Disk, true
	case *DiskRound:
		return d.Disk, true
	case *DiskEnd:
		return d.Disk, true
	}
	return 0, false
}

// checkDisk refuses what cannot be, whichever disk it is about.
func checkDisk(b Body) error {
	if n, ok := diskOf(b); ok && n >= MaxDisks {
		return bad("disk %d, at most %d can be", n, MaxDisks)
	}
	switch d := b.(type) {
	case *DiskBegin:
		if d.Size == 0 || d.Size%512 != 0 || d.Size > MaxDisk {
			return bad("a disk of %d bytes", d.Size)
		}
		if d.Format == "" || d.Name == "" || strings.ContainsRune(d.Name, 0) || len(d.Format)+len(d.Name) >= maxDiskText {
			return bad("a disk %q of format %q", d.Name, d.Format)
		}
	case *DiskData:
		return checkPart(d.Offset, uint64(len(d.Data)))
	case *DiskZero:
		return checkPart(d.Offset, d.Length)
	}
	return nil
}

func checkPart(off, n uint64) error {
	if n == 0 || off%512 != 0 || n%512 != 0 || off > MaxDisk || n > MaxDisk-off {
		return bad("%d bytes at %d of a disk", n, off)
	}
	return nil
}
