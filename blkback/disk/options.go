package disk

import (
	"fmt"
	"slices"
)

// Format is how the bytes of a disk lie in the host's file. The words are those of
// xl's disk configurations.
type Format string

// The formats that Open knows.
const (
	Raw   Format = "raw"   // a file or block device, byte for byte
	QCOW2 Format = "qcow2" // QEMU's copy on write format
	VHD   Format = "vhd"   // Microsoft's; only fixed images can be written to
	VHDX  Format = "vhdx"  // its successor, read only
	NBD   Format = "nbd"   // a network block device; the path is a URI
)

// formats are all of them, for messages.
var formats = []Format{Raw, QCOW2, VHD, VHDX, NBD}

// Formats are all formats that Open knows.
func Formats() []Format { return slices.Clone(formats) }

// ParseFormat is the format of that name.
func ParseFormat(s string) (Format, error) {
	if f := Format(s); slices.Contains(formats, f) {
		return f, nil
	}
	return "", fmt.Errorf("disk format %q: not one of %v", s, formats)
}

// Options say how to open a disk.
type Options struct {
	// Format must be given: see the package comment for why it is never guessed.
	Format Format
	// ReadOnly opens for reading; writes return ErrReadOnly.
	ReadOnly bool
	// Direct passes by the host's page cache (O_DIRECT) where the file system can;
	// Info.Direct tells whether it is so.
	Direct bool
	// NoLock leaves out the lock that keeps a second writer, QEMU's tools included,
	// from the same file. Block devices are never locked against others.
	NoLock bool
	// Holder, if it is not 0, is whom a block device is opened for to write: ErrLocked
	// means that what another process had begun for the same holder has not ended.
	Holder uint64
	// Backing says which backing files an image may have.
	Backing Backing
	// Cache bounds the mapping tables of one image in memory, in bytes; 0 leaves it
	// to the format.
	Cache int

	// stable locks a file that is only read against all writers.
	stable bool
}
