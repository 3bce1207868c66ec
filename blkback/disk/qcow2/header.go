package qcow2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Bounds on what a header may ask for; QEMU has the same.
const (
	maxHeader     = 64 << 10 // of the first cluster, with all extensions
	maxL1         = 32 << 20 // bytes
	maxRefTable   = 8 << 20  // bytes
	maxBackingLen = 1023
	maxSnapshots  = 65536
)

// Incompatible features.
const (
	featureDirty        = 1 << 0
	featureCorrupt      = 1 << 1
	featureExternalData = 1 << 2
	featureCompression  = 1 << 3
	featureExtendedL2   = 1 << 4
)

const (
	magic = 0x514649fb // "QFI\xfb"

	extEnd           = 0
	extBackingFormat = 0xe2792aca
	extFeatureNames  = 0x6803f857
)

// header is the first cluster of an image.
type header struct {
	version          uint32
	clusterBits      uint
	size             int64 // of the disk, bytes
	l1Entries        int
	l1Off            int64
	refTableOff      int64
	refTableClusters int
	incompatible     uint64
	autoclear        uint64
	refOrder         uint
	zstd             bool // of compressed clusters
	backing          string
	backingFormat    string // empty when the image does not say
}

func (h *header) clusterSize() int64 { return 1 << h.clusterBits }

// parseHeader reads the start of an image, of at most maxHeader bytes. fileSize is
// the length of the image file: no table may reach beyond it.
func parseHeader(b []byte, fileSize int64) (*header, error) {
	if len(b) < 72 || binary.BigEndian.Uint32(b) != magic {
		return nil, errors.New("not a qcow2 image: it lacks the magic number")
	}
	be := binary.BigEndian
	h := &header{version: be.Uint32(b[4:]), refOrder: 4}
	if h.version != 2 && h.version != 3 {
		return nil, fmt.Errorf("qcow2 version %d: only 2 and 3 are known: %w", h.version, errors.ErrUnsupported)
	}
	bits := be.Uint32(b[20:])
	if bits < 9 || bits > 21 {
		return nil, corrupt("clusters of 2^%d bytes: the format has 2^9 to 2^21", bits)
	}
	h.clusterBits = uint(bits)
	if crypt := be.Uint32(b[32:]); crypt != 0 {
		return nil, fmt.Errorf("the image is encrypted (method %d): convert it with qemu-img: %w", crypt, errors.ErrUnsupported)
	}
	end := 72
	if h.version == 3 {
		var err error
		if end, err = h.parseVersion3(b); err != nil {
			return nil, err
		}
	}
	if err := h.parseTables(b, fileSize); err != nil {
		return nil, err
	}
	b = b[:min(int64(len(b)), h.clusterSize())]
	if err := h.parseBacking(b); err != nil {
		return nil, err
	}
	names, err := h.parseExtensions(b[min(end, len(b)):])
	if err != nil {
		return nil, err
	}
	return h, h.checkFeatures(names)
}

// parseVersion3 reads what version 3 added and returns the header's length.
func (h *header) parseVersion3(b []byte) (int, error) {
	if len(b) < 104 {
		return 0, corrupt("it ends within its header")
	}
	be := binary.BigEndian
	h.incompatible, h.autoclear = be.Uint64(b[72:]), be.Uint64(b[88:])
	order, length := be.Uint32(b[96:]), be.Uint32(b[100:])
	if order > 6 {
		return 0, corrupt("reference counts of 2^%d bits: the format has up to 2^6", order)
	}
	h.refOrder = uint(order)
	if length < 104 || length%8 != 0 || int64(length) > h.clusterSize() || int(length) > len(b) {
		return 0, corrupt("a header of %d bytes", length)
	}
	var compression byte
	if length > 104 {
		compression = b[104]
	}
	marked := h.incompatible&featureCompression != 0
	switch {
	case compression > 1:
		return 0, fmt.Errorf("compression type %d is not known: %w", compression, errors.ErrUnsupported)
	case marked != (compression != 0):
		return 0, corrupt("compression type %d contradicts the feature bits", compression)
	}
	h.zstd = compression == 1
	return int(length), nil
}

// parseTables reads where the tables are and how long.
func (h *header) parseTables(b []byte, fileSize int64) error {
	be := binary.BigEndian
	size, l1 := be.Uint64(b[24:]), be.Uint32(b[36:])
	if size > 1<<62 {
		return corrupt("a disk of %d bytes", size)
	}
	if uint64(l1)*8 > maxL1 {
		return corrupt("an L1 table of %d entries", l1)
	}
	// An L1 entry stands for an L2 table, of a cluster's size.
	h.size, h.l1Entries = int64(size), int(l1)
	span := uint(h.clusterBits + h.clusterBits - 3)
	if need := (size + 1<<span - 1) >> span; need > uint64(l1) {
		return corrupt("an L1 table of %d entries for a disk of %d bytes, which needs %d", l1, size, need)
	}
	var err error
	if h.l1Off, err = h.table("the L1 table", be.Uint64(b[40:]), int64(l1)*8, fileSize); err != nil {
		return err
	}
	clusters := be.Uint32(b[56:])
	if clusters == 0 || uint64(clusters)<<h.clusterBits > maxRefTable {
		return corrupt("a reference count table of %d clusters", clusters)
	}
	h.refTableClusters = int(clusters)
	h.refTableOff, err = h.table("the reference count table", be.Uint64(b[48:]), int64(clusters)<<h.clusterBits, fileSize)
	if err != nil {
		return err
	}
	if n := be.Uint32(b[60:]); n > maxSnapshots {
		return corrupt("%d snapshots", n)
	}
	return nil
}

// table checks that a table of n bytes lies within the file.
func (h *header) table(name string, off uint64, n, fileSize int64) (int64, error) {
	if n == 0 {
		return 0, nil
	}
	if off == 0 || off&uint64(h.clusterSize()-1) != 0 || off > uint64(fileSize) || n > fileSize-int64(off) {
		return 0, corrupt("%s of %d bytes at %d of a file of %d", name, n, off, fileSize)
	}
	return int64(off), nil
}

func (h *header) parseBacking(b []byte) error {
	off, n := binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint32(b[16:])
	if off == 0 {
		return nil
	}
	if n > maxBackingLen || off > uint64(len(b)) || uint64(n) > uint64(len(b))-off {
		return corrupt("the backing file's name of %d bytes at %d does not lie in the first cluster", n, off)
	}
	h.backing = string(b[off : off+uint64(n)])
	if strings.ContainsRune(h.backing, 0) {
		return corrupt("the backing file's name %q", h.backing)
	}
	return nil
}

// parseExtensions reads the header extensions and returns the names that the image
// has for incompatible features.
func (h *header) parseExtensions(b []byte) (names map[int]string, err error) {
	for len(b) >= 8 {
		kind, n := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
		b = b[8:]
		if kind == extEnd {
			break
		}
		if uint64(n) > uint64(len(b)) {
			return nil, corrupt("header extension %#x of %d bytes does not fit", kind, n)
		}
		data := b[:n]
		switch kind {
		case extBackingFormat:
			h.backingFormat = string(data)
		case extFeatureNames:
			names = featureNames(data)
		}
		b = b[min(int(n+7)&^7, len(b)):]
	}
	return names, nil
}

func featureNames(b []byte) map[int]string {
	names := map[int]string{}
	for ; len(b) >= 48 && len(names) < 64; b = b[48:] {
		if b[0] == 0 && b[1] < 64 {
			name, _, _ := bytes.Cut(b[2:48], []byte{0})
			names[int(b[1])] = string(name)
		}
	}
	return names
}

// checkFeatures refuses what this package does not know.
func (h *header) checkFeatures(names map[int]string) error {
	var no []string
	for bit := range 64 {
		switch f := uint64(1) << bit; {
		case h.incompatible&f == 0:
		case f == featureDirty || f == featureCorrupt || f == featureCompression:
		case f == featureExternalData:
			no = append(no, "external data file")
		case f == featureExtendedL2:
			no = append(no, "extended L2 entries")
		case names[bit] != "":
			no = append(no, fmt.Sprintf("%q", names[bit]))
		default:
			no = append(no, fmt.Sprintf("feature %d, which has no name", bit))
		}
	}
	if no == nil {
		return nil
	}
	return fmt.Errorf("the image needs %s: convert it with qemu-img: %w", strings.Join(no, ", "), errors.ErrUnsupported)
}
