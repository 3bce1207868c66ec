package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The limits of the protocol.
const (
	HeaderSize = 16   // struct xsd_sockmsg
	MaxPayload = 4096 // XENSTORE_PAYLOAD_MAX; a longer packet ends the connection
	MaxAbsPath = 3072 // XENSTORE_ABS_PATH_MAX
	MaxRelPath = 2048 // XENSTORE_REL_PATH_MAX
)

// ErrTooLong means that a packet's payload exceeds the limit. When received,
// the stream cannot be followed any further.
var ErrTooLong = errors.New("payload too long")

// Packet is one message in either direction.
type Packet struct {
	Op      Op
	ReqID   uint32 // echoed in the reply; 0 in watch events
	TxID    uint32 // 0 outside a transaction
	Payload []byte
}

// Header is the fixed part of a packet.
type Header struct {
	Op          Op
	ReqID, TxID uint32
	Len         uint32 // of the payload; not checked
}

// AppendHeader appends h as it goes over the wire.
func AppendHeader(b []byte, h Header) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(h.Op))
	b = binary.LittleEndian.AppendUint32(b, h.ReqID)
	b = binary.LittleEndian.AppendUint32(b, h.TxID)
	return binary.LittleEndian.AppendUint32(b, h.Len)
}

// AppendPacket appends p. It fails with ErrTooLong and b unchanged.
func AppendPacket(b []byte, p Packet) ([]byte, error) {
	if len(p.Payload) > MaxPayload {
		return b, ErrTooLong
	}
	b = AppendHeader(b, Header{p.Op, p.ReqID, p.TxID, uint32(len(p.Payload))})
	return append(b, p.Payload...), nil
}

// ParseHeader decodes the first HeaderSize bytes of b, of which it needs no more.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, io.ErrUnexpectedEOF
	}
	return Header{
		Op:    Op(binary.LittleEndian.Uint32(b)),
		ReqID: binary.LittleEndian.Uint32(b[4:]),
		TxID:  binary.LittleEndian.Uint32(b[8:]),
		Len:   binary.LittleEndian.Uint32(b[12:]),
	}, nil
}

// within checks the announced length of the payload.
func (h Header) within(limit uint32) error {
	if h.Len > limit {
		return fmt.Errorf("%w: %s announces %d bytes, at most %d", ErrTooLong, h.Op, h.Len, limit)
	}
	return nil
}

// ParsePacket takes one packet off b and returns what follows it. The payload
// lies in b. io.ErrUnexpectedEOF means that the packet is not complete yet.
func ParsePacket(b []byte) (p Packet, rest []byte, err error) {
	h, err := ParseHeader(b)
	if err == nil {
		err = h.within(MaxPayload)
	}
	if err != nil {
		return Packet{}, b, err
	}
	end := HeaderSize + int(h.Len)
	if len(b) < end {
		return Packet{}, b, io.ErrUnexpectedEOF
	}
	return Packet{h.Op, h.ReqID, h.TxID, b[HeaderSize:end:end]}, b[end:], nil
}

// Reader takes packets off a stream.
type Reader struct {
	r     io.Reader
	limit uint32
	hdr   [HeaderSize]byte
}

// NewReader returns a Reader of r, which should be buffered. It takes payloads of
// at most limit bytes, which is MaxPayload for whoever holds to the protocol.
func NewReader(r io.Reader, limit uint32) *Reader { return &Reader{r: r, limit: limit} }

// Next blocks for the next packet, whose payload is freshly allocated and the
// caller's. io.EOF means that the stream ended between packets.
func (r *Reader) Next() (Packet, error) {
	if _, err := io.ReadFull(r.r, r.hdr[:]); err != nil {
		return Packet{}, err
	}
	h, err := ParseHeader(r.hdr[:])
	if err == nil {
		err = h.within(r.limit)
	}
	if err != nil {
		return Packet{}, err
	}
	p := Packet{Op: h.Op, ReqID: h.ReqID, TxID: h.TxID}
	if h.Len == 0 {
		return p, nil
	}
	p.Payload = make([]byte, h.Len)
	if _, err := io.ReadFull(r.r, p.Payload); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return Packet{}, err
	}
	return p, nil
}
