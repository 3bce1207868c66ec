package nbd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Numbers of the protocol, with its names.
const (
	magicInit   = 0x4e42444d41474943 // NBDMAGIC
	magicOption = 0x49484156454f5054 // IHAVEOPT
	magicReply  = 0x3e889045565a9

	fixedNewstyle = 1 << 0 // NBD_FLAG_FIXED_NEWSTYLE, NBD_FLAG_C_FIXED_NEWSTYLE
	noZeroes      = 1 << 1 // NBD_FLAG_NO_ZEROES, NBD_FLAG_C_NO_ZEROES

	optExportName = 1 // NBD_OPT_EXPORT_NAME
	optGo         = 7 // NBD_OPT_GO

	repACK      = 1       // NBD_REP_ACK
	repInfo     = 3       // NBD_REP_INFO
	repError    = 1 << 31 // any NBD_REP_ERR_…
	repUnsup    = repError | 1
	repPolicy   = repError | 2
	repTLS      = repError | 5
	repUnknown  = repError | 6
	repShutdown = repError | 7
	repBlocks   = repError | 8

	infoExport    = 0 // NBD_INFO_EXPORT
	infoBlockSize = 3 // NBD_INFO_BLOCK_SIZE

	flagReadOnly = 1 << 1 // NBD_FLAG_READ_ONLY
	flagFlush    = 1 << 2 // NBD_FLAG_SEND_FLUSH
	flagTrim     = 1 << 5 // NBD_FLAG_SEND_TRIM
)

// Bounds on what a server may say.
const (
	maxReply   = 16 << 10 // bytes of a reply to an option
	maxReplies = 64       // of them
	maxPayload = 32 << 20 // bytes of a request, where the server does not say less
	maxName    = 4096
)

// Export is what a server says of a disk.
type Export struct {
	Size     int64 // bytes
	ReadOnly bool
	Flush    bool // whether it can flush
	Trim     bool // whether it can discard
	MinBlock int  // offsets and lengths of requests must be multiples of it
	MaxBlock int  // bytes of one request
}

// handshake chooses an export; afterwards requests may be sent.
func handshake(c io.ReadWriter, name string) (*Export, error) {
	if len(name) > maxName {
		return nil, fmt.Errorf("the name of the export has %d bytes: %d are the most", len(name), maxName)
	}
	var hello [18]byte
	if _, err := io.ReadFull(c, hello[:]); err != nil {
		return nil, fmt.Errorf("wait for the server's greeting: %w", err)
	}
	be := binary.BigEndian
	flags := be.Uint16(hello[16:])
	if be.Uint64(hello[:]) != magicInit || be.Uint64(hello[8:]) != magicOption || flags&fixedNewstyle == 0 {
		return nil, errors.New("the server does not speak the fixed newstyle of NBD")
	}
	answer := be.AppendUint32(nil, uint32(flags&(fixedNewstyle|noZeroes)))
	if _, err := c.Write(answer); err != nil {
		return nil, err
	}
	e, err := goExport(c, name)
	if errors.Is(err, errNoGo) {
		return exportName(c, name, flags&noZeroes != 0)
	}
	return e, err
}

var errNoGo = errors.New("the server does not know NBD_OPT_GO")

func sendOption(c io.Writer, option uint32, data []byte) error {
	b := binary.BigEndian.AppendUint64(nil, magicOption)
	b = binary.BigEndian.AppendUint32(b, option)
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	_, err := c.Write(append(b, data...))
	return err
}

// goExport chooses an export with NBD_OPT_GO.
func goExport(c io.ReadWriter, name string) (*Export, error) {
	be := binary.BigEndian
	data := append(be.AppendUint32(nil, uint32(len(name))), name...)
	data = be.AppendUint16(data, 1)
	data = be.AppendUint16(data, infoBlockSize)
	if err := sendOption(c, optGo, data); err != nil {
		return nil, err
	}
	e := &Export{MinBlock: 1, MaxBlock: maxPayload}
	known := false
	for range maxReplies {
		kind, b, err := readReply(c, optGo)
		switch {
		case err != nil:
			return nil, err
		case kind == repInfo:
			export, err := e.parseInfo(b)
			if err != nil {
				return nil, err
			}
			known = known || export
		case kind == repACK && known:
			return e, nil
		case kind == repACK:
			return nil, errors.New("the server did not say how large the export is")
		case kind == repUnsup:
			return nil, errNoGo
		case kind&repError != 0:
			return nil, refusal(name, kind, b)
		}
	}
	return nil, errors.New("the server does not come to an end with its replies")
}

// readReply reads a reply to an option.
func readReply(c io.Reader, option uint32) (kind uint32, data []byte, err error) {
	var h [20]byte
	if _, err := io.ReadFull(c, h[:]); err != nil {
		return 0, nil, fmt.Errorf("wait for a reply to option %d: %w", option, err)
	}
	be := binary.BigEndian
	if be.Uint64(h[:]) != magicReply || be.Uint32(h[8:]) != option {
		return 0, nil, fmt.Errorf("the reply to option %d is none: %x", option, h)
	}
	n := be.Uint32(h[16:])
	if n > maxReply {
		return 0, nil, fmt.Errorf("the reply to option %d has %d bytes: %d are the most", option, n, maxReply)
	}
	data = make([]byte, n)
	_, err = io.ReadFull(c, data)
	return be.Uint32(h[12:]), data, err
}

// parseInfo reads an NBD_REP_INFO, and says whether it told of the export.
func (e *Export) parseInfo(b []byte) (export bool, err error) {
	be := binary.BigEndian
	if len(b) < 2 {
		return false, errors.New("the server sent an empty information")
	}
	switch kind := be.Uint16(b); {
	case kind == infoExport && len(b) == 12:
		return true, e.setExport(be.Uint64(b[2:]), be.Uint16(b[10:]))
	case kind == infoBlockSize && len(b) == 14:
		least, most := be.Uint32(b[2:]), be.Uint32(b[10:])
		if least == 0 || least&(least-1) != 0 || least > 64<<10 || most < least || most%least != 0 && most != 0xffffffff {
			return false, fmt.Errorf("the server wants requests of %d to %d bytes", least, most)
		}
		e.MinBlock, e.MaxBlock = int(least), int(min(most, maxPayload))
	case kind == infoExport || kind == infoBlockSize:
		return false, fmt.Errorf("the server's information %d has %d bytes", kind, len(b))
	}
	return false, nil
}

func (e *Export) setExport(size uint64, flags uint16) error {
	if size > 1<<62 {
		return fmt.Errorf("a disk of %d bytes is beyond this program", size)
	}
	e.Size = int64(size)
	e.ReadOnly, e.Flush, e.Trim = flags&flagReadOnly != 0, flags&flagFlush != 0, flags&flagTrim != 0
	return nil
}

// exportName chooses an export in the way of old servers, which hang up on a name
// that they do not know.
func exportName(c io.ReadWriter, name string, short bool) (*Export, error) {
	if err := sendOption(c, optExportName, []byte(name)); err != nil {
		return nil, err
	}
	b := make([]byte, 10+124)
	if short {
		b = b[:10]
	}
	if _, err := io.ReadFull(c, b); err != nil {
		return nil, fmt.Errorf("the server hung up: it may not have the export %q: %w", name, err)
	}
	e := &Export{MinBlock: 1, MaxBlock: maxPayload}
	return e, e.setExport(binary.BigEndian.Uint64(b), binary.BigEndian.Uint16(b[8:]))
}

// refusal is the error for a reply that says no.
func refusal(name string, kind uint32, text []byte) error {
	why := map[uint32]string{
		repPolicy: "it is not allowed", repTLS: "it wants TLS, which is not done here",
		repUnknown: "it has no such export", repShutdown: "it is shutting down",
		repBlocks: "it needs block sizes that are not asked for",
	}[kind]
	if why == "" {
		why = fmt.Sprintf("error %d", kind&^repError)
	}
	if s := strings.ToValidUTF8(string(text[:min(len(text), 200)]), "?"); s != "" {
		why += fmt.Sprintf(" (%q)", s)
	}
	return fmt.Errorf("the server refuses the export %q: %s", name, why)
}
