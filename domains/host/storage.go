package host

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
)

// Storage is what is behind a path, as far as that tells whether two hosts see the
// same.
type Storage struct {
	Size  int64 // bytes
	Block bool  // a block device
	// Local is the kind of file system that a file is on, if only one host at a time
	// can have that: "ext4".
	Local string
	ID    string // the world-wide name or device mapper's, of a block device that has one
	// Samples are fingerprints of some blocks: the first, the last and some between.
	Samples []string
}

const (
	sampleSize = 4096
	samples    = 16
)

// Storage looks at a file or a block device. It reads past the page cache, which may
// be out of date and would stay so, where the file system can do that.
func (h *Host) Storage(path string) (*Storage, error) {
	fi, err := h.Stat(path)
	if err != nil {
		return nil, err
	}
	s := &Storage{Block: fi.Mode()&(os.ModeDevice|os.ModeCharDevice) == os.ModeDevice}
	if !s.Block && !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: neither a file nor a block device", path)
	}
	f, err := h.openPastCache(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if s.Size, err = f.Seek(0, io.SeekEnd); err != nil {
		return nil, err
	}
	if s.Block {
		s.ID = h.deviceID(fi)
	} else {
		s.Local = localFileSystem(f)
	}
	s.Samples, err = sample(f, s.Size)
	return s, err
}

// sample takes the fingerprints.
func sample(f *os.File, size int64) ([]string, error) {
	b, free, err := aligned(sampleSize)
	if err != nil {
		return nil, err
	}
	defer free()
	var list []string
	blocks := size / sampleSize
	n := min(samples, blocks)
	for i := range n {
		at := int64(0)
		if n > 1 {
			at = i * (blocks - 1) / (n - 1)
		}
		if _, err := f.ReadAt(b, at*sampleSize); err != nil {
			return nil, fmt.Errorf("read block %d: %w", at, err)
		}
		sum := sha256.Sum256(b)
		list = append(list, hex.EncodeToString(sum[:12]))
	}
	return list, nil
}
