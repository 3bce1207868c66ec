package stream

import (
	"bytes"
	"encoding/binary"

	"goxl/xenctrl/abi"
)

// The fixed parts of the headers, in bytes.
const (
	xlHeaderSize    = 48
	libxlHeaderSize = 16
	libxcHeaderSize = 24 + 16
)

// XLHeaderSize is how long the fixed part of xl's header is, which begins with XLMagic.
const XLHeaderSize = xlHeaderSize

// MaxOptional is how long the data behind an xl header may be, the guest's
// configuration for the most part.
const MaxOptional = 16 << 20

// XLMagic begins every file that xl saved a guest to.
const XLMagic = "Xen saved domain, xl format\n \x00 \r"

const (
	xlByteOrder = 0x01020304

	xlFlagJSON     = 1 << 0 // XL_MANDATORY_FLAG_JSON
	xlFlagStreamV2 = 1 << 1 // XL_MANDATORY_FLAG_STREAMv2
)

// XLHeader is the outermost header, with the guest's configuration.
// Source: tools/xl/xl.h, struct save_file_header.
type XLHeader struct {
	// Config is the configuration in libxl's JSON, with the NUL that the genuine
	// xl has at its end; nil when there is none.
	Config []byte
	// OptionalFlags are for readers that know them; the genuine xl writes 0.
	OptionalFlags uint32
	// Extra is what follows the configuration; the genuine xl writes nothing.
	Extra []byte
}

// Type returns TypeXLHeader.
func (*XLHeader) Type() Type { return TypeXLHeader }

// JSON returns the configuration without what follows it in the stream.
func (h *XLHeader) JSON() []byte {
	if i := bytes.IndexByte(h.Config, 0); i >= 0 {
		return h.Config[:i]
	}
	return h.Config
}

// decodeXLHeader reads the fixed part and returns the length of the rest.
func (h *XLHeader) decode(b []byte) (rest uint32, hasConfig bool, err error) {
	le := binary.LittleEndian
	order, flags := le.Uint32(b[32:]), le.Uint32(b[36:])
	h.OptionalFlags, rest = le.Uint32(b[40:]), le.Uint32(b[44:])
	switch {
	case string(b[:32]) != XLMagic:
		return 0, false, bad("not a saved domain of xl: it begins with %q", b[:16])
	case order == 0x04030201:
		return 0, false, unsupported("saved on a big-endian machine")
	case order != xlByteOrder:
		return 0, false, bad("byte order mark %#x", order)
	case flags&^(xlFlagJSON|xlFlagStreamV2) != 0:
		return 0, false, unsupported("mandatory flags %#x are unknown: saved by a newer xl", flags&^(xlFlagJSON|xlFlagStreamV2))
	case flags&xlFlagStreamV2 == 0:
		return 0, false, unsupported("the format of Xen 4.5 and older; " + convert)
	case rest > MaxOptional:
		return 0, false, bad("%d bytes of optional data, at most %d are accepted", rest, MaxOptional)
	case rest > 0 && rest < 4:
		return 0, false, bad("%d bytes of optional data are too few for the configuration's length", rest)
	}
	return rest, flags&xlFlagJSON != 0, nil
}

// decodeOptional takes b, the data behind the fixed part, apart.
func (h *XLHeader) decodeOptional(b []byte, json bool) error {
	if len(b) == 0 {
		if json {
			return bad("no configuration, but a flag that says it is JSON")
		}
		return nil
	}
	n := binary.LittleEndian.Uint32(b)
	switch {
	case uint64(n) > uint64(len(b)-4):
		return bad("a configuration of %d bytes in %d bytes of optional data", n, len(b))
	case n > 0 && !json:
		return unsupported("the configuration is not JSON: saved by Xen 4.4 or older; " + convert)
	case n == 0 && json:
		return bad("an empty configuration, but a flag that says it is JSON")
	}
	if n > 0 {
		h.Config = b[4 : 4+n]
	}
	if rest := b[4+n:]; len(rest) > 0 {
		h.Extra = rest
	}
	return nil
}

const convert = "restore and save it again on a host with Xen 4.6 to 4.13, or use that release's convert-legacy-stream"

// append appends h with all its optional data.
func (h *XLHeader) append(b []byte) ([]byte, error) {
	total := 4 + len(h.Config) + len(h.Extra)
	if total > MaxOptional {
		return b, bad("%d bytes of optional data, at most %d are accepted", total, MaxOptional)
	}
	flags := uint32(xlFlagStreamV2)
	if len(h.Config) > 0 {
		flags |= xlFlagJSON
	}
	b = append(b, XLMagic...)
	b = append32(b, xlByteOrder, flags, h.OptionalFlags, uint32(total), uint32(len(h.Config)))
	b = append(b, h.Config...)
	return append(b, h.Extra...), nil
}

const (
	libxlIdent   = "LibxlFmt"
	libxlVersion = 2

	optBigEndian = 1 << 0
	optConverted = 1 << 1 // libxl only
)

// LibxlHeader begins the stream of libxl.
type LibxlHeader struct {
	Converted bool // made from a legacy stream by convert-legacy-stream
}

// Type returns TypeLibxlHeader.
func (*LibxlHeader) Type() Type { return TypeLibxlHeader }

func (h *LibxlHeader) decode(b []byte, strict bool) error {
	version, options := binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:])
	switch {
	case string(b[:8]) != libxlIdent:
		return bad("ident is %q, want %q", b[:8], libxlIdent)
	case version != libxlVersion:
		return unsupported("version %d, only version %d is known", version, libxlVersion)
	case options&optBigEndian != 0:
		return unsupported("written by a big-endian machine")
	case strict && options&^(optBigEndian|optConverted) != 0:
		return bad("reserved bits are set in options %#x", options)
	}
	h.Converted = options&optConverted != 0
	return nil
}

func (h *LibxlHeader) append(b []byte) []byte {
	options := uint32(0)
	if h.Converted {
		options = optConverted
	}
	b = append(b, libxlIdent...)
	b = binary.BigEndian.AppendUint32(b, libxlVersion)
	return binary.BigEndian.AppendUint32(b, options)
}

// GuestType is the kind of guest as libxc knows it.
type GuestType uint32

// The kinds of guests. A PVH guest is an HVM guest here; only the configuration
// tells them apart.
const (
	GuestPV  GuestType = 1 // DHDR_TYPE_X86_PV
	GuestHVM GuestType = 2 // DHDR_TYPE_X86_HVM
)

func (g GuestType) String() string {
	if g == GuestPV {
		return "PV"
	}
	return "HVM"
}

// LibxcHeader begins the stream of libxc: its image header and domain header.
type LibxcHeader struct {
	Version uint32 // 2 up to Xen 4.13, 3 since
	Guest   GuestType
	// XenMajor and XenMinor are the release that saved the guest. 0 and a number
	// stand for that version of convert-legacy-stream.
	XenMajor, XenMinor uint32
}

// Type returns TypeLibxcHeader.
func (*LibxcHeader) Type() Type { return TypeLibxcHeader }

const libxcIdent = "XENF"

func (h *LibxcHeader) decode(b []byte, strict bool) error {
	be, le := binary.BigEndian, binary.LittleEndian
	options := be.Uint16(b[16:])
	h.Version = be.Uint32(b[12:])
	switch {
	case be.Uint64(b) != 1<<64-1:
		return unsupported("marker %#016x: not an image, or the format of Xen 4.5 and older; "+convert, be.Uint64(b))
	case string(b[8:12]) != libxcIdent:
		return bad("ident is %q, want %q", b[8:12], libxcIdent)
	case h.Version < 2 || h.Version > 3:
		return unsupported("version %d, versions 2 and 3 are known", h.Version)
	case options&optBigEndian != 0:
		return unsupported("written by a big-endian machine")
	case strict && (options&^optBigEndian != 0 || be.Uint16(b[18:]) != 0 || be.Uint32(b[20:]) != 0):
		return bad("reserved bits are set in the image header: % x", b[16:24])
	}
	h.Guest = GuestType(le.Uint32(b[24:]))
	shift := le.Uint16(b[28:])
	switch {
	case h.Guest != GuestPV && h.Guest != GuestHVM:
		return bad("guest type %d, 1 (PV) and 2 (HVM and PVH) exist", uint32(h.Guest))
	case shift != abi.PageShift:
		return bad("pages of 2^%d bytes, want 2^%d", shift, abi.PageShift)
	case strict && le.Uint16(b[30:]) != 0:
		return bad("reserved bits %#x are set in the domain header", le.Uint16(b[30:]))
	}
	h.XenMajor, h.XenMinor = le.Uint32(b[32:]), le.Uint32(b[36:])
	return nil
}

func (h *LibxcHeader) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, 1<<64-1)
	b = append(b, libxcIdent...)
	b = binary.BigEndian.AppendUint32(b, h.Version)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // little-endian
	b = append32(b, uint32(h.Guest), abi.PageShift)
	return append32(b, h.XenMajor, h.XenMinor)
}

// check tells whether h can be written.
func (h *LibxcHeader) check() error {
	if h.Version < 2 || h.Version > 3 || h.Guest != GuestPV && h.Guest != GuestHVM {
		return bad("version %d, guest type %d", h.Version, uint32(h.Guest))
	}
	return nil
}

func append32(b []byte, v ...uint32) []byte {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, x)
	}
	return b
}

func append64(b []byte, v ...uint64) []byte {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return b
}

// reservedZero refuses a reserved field that is set, as verify-stream-v2 does.
func reservedZero(v uint32) error {
	if v != 0 {
		return bad("a reserved field is %#x and not 0", v)
	}
	return nil
}
