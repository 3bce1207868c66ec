package image

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// Load reads a kernel of size bytes from r, unpacks and parses it. The image
// owns its memory; r is not used afterwards.
func Load(r io.ReaderAt, size int64, lim Limits) (*Image, error) {
	if size > lim.file() {
		return nil, tooBig("the file", lim.file())
	}
	src := make([]byte, size)
	if n, err := r.ReadAt(src, 0); int64(n) != size {
		return nil, fmt.Errorf("read kernel: %w", err)
	}
	elf, err := Unpack(src, lim)
	if err != nil {
		return nil, err
	}
	return Parse(elf)
}

// Unpack returns the ELF file inside the kernel src. A kernel that is not
// packed at all is returned as it is, sharing src's memory.
func Unpack(src []byte, lim Limits) ([]byte, error) {
	if bytes.HasPrefix(src, magicGzip) { // the whole file, as Xen's own tools accept it
		out, err := inflate(src, lim.unpacked())
		if err != nil {
			return nil, bad(err, "unpack the gzip file around the kernel")
		}
		src = out
	}
	if IsELF(src) {
		return src, nil
	}
	payload, err := bzPayload(src)
	if err != nil {
		return nil, err
	}
	if IsELF(payload) {
		return payload, nil
	}
	name, unpack := payloadFormat(payload)
	if unpack == nil {
		return nil, badf("the bzImage's payload starts with % x: not a compression that is known", head(payload, 8))
	}
	elf, err := guarded(unpack, payload, lim.unpacked())
	if err != nil {
		return nil, bad(err, "unpack the bzImage's %s payload", name)
	}
	if !IsELF(elf) {
		return nil, badf("the bzImage's %s payload holds no ELF file", name)
	}
	return elf, nil
}

// Packed reports whether Unpack would have to decompress src, whose first
// bytes are enough. A cache of unpacked kernels is of use only then.
func Packed(src []byte) bool { return !IsELF(src) }

// IsELF reports whether b starts like an ELF file.
func IsELF(b []byte) bool { return bytes.HasPrefix(b, magicELF) }

// Offsets in the setup header of a bzImage. Source: Linux
// Documentation/arch/x86/boot.rst.
const (
	bzSetupSects    = 0x1f1 // u8
	bzMagic         = 0x202 // "HdrS"
	bzVersion       = 0x206 // u16
	bzPayloadOffset = 0x248 // u32
	bzPayloadLength = 0x24c // u32
	bzHeaderEnd     = 0x250
	bzMinVersion    = 0x0208 // the first with a payload that can be found
)

// bzPayload returns the packed kernel inside a bzImage.
func bzPayload(src []byte) ([]byte, error) {
	if len(src) < bzHeaderEnd || string(src[bzMagic:bzMagic+4]) != "HdrS" {
		return nil, badf("neither an ELF file nor a Linux bzImage: starts with % x", head(src, 8))
	}
	le := binary.LittleEndian
	if v := le.Uint16(src[bzVersion:]); v < bzMinVersion {
		return nil, badf("bzImage of boot protocol %d.%02d; 2.08 (Linux 2.6.26) or later is needed", v>>8, v&0xff)
	}
	sects := uint64(src[bzSetupSects])
	if sects == 0 {
		sects = 4 // what the field means in very old images
	}
	start := (sects+1)*512 + uint64(le.Uint32(src[bzPayloadOffset:]))
	length := uint64(le.Uint32(src[bzPayloadLength:]))
	if start > uint64(len(src)) || length > uint64(len(src))-start {
		return nil, badf("the bzImage's payload of %d bytes at %#x lies beyond the file's %d bytes (cut short?)",
			length, start, len(src))
	}
	return src[start : start+length], nil
}

func head(b []byte, n int) []byte { return b[:min(n, len(b))] }
