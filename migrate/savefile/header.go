package savefile

import (
	"bytes"
	"encoding/binary"

	"goxl/migrate/stream"
)

// FlagPacked is the bit of xl's mandatory flags that says that what stands behind the
// configuration is packed. Source of the others: tools/xl/xl.h, which counts from
// bit 0; this one is ours and stands at the other end.
const FlagPacked = 1 << 31

// Where things stand in xl's header. Source: struct save_file_header.
const (
	flagsAt    = 36
	optionalAt = 44
)

// isHeader reports whether b, of stream.XLHeaderSize bytes, is the fixed part of xl's
// header, in our byte order.
func isHeader(b []byte) bool {
	return bytes.HasPrefix(b, []byte(stream.XLMagic)) && binary.LittleEndian.Uint32(b[32:]) == 0x01020304
}

func flags(b []byte) uint32    { return binary.LittleEndian.Uint32(b[flagsAt:]) }
func optional(b []byte) uint32 { return binary.LittleEndian.Uint32(b[optionalAt:]) }

func setFlags(b []byte, f uint32) { binary.LittleEndian.PutUint32(b[flagsAt:], f) }
