package capture

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// Blocks and options of a pcapng file. Source: draft-ietf-opsawg-pcapng, sections 3
// and 4.
const (
	blockSection   = 0x0A0D0D0A
	blockInterface = 1
	blockStats     = 5
	blockPacket    = 6

	sectionMagic = 0x1A2B3C4D
	linkEthernet = 1

	optEnd        = 0
	optSoftware   = 4 // of a section: shb_userappl
	optName       = 2 // of an interface: if_name
	optMAC        = 6 // if_MACaddr
	optResolution = 9 // if_tsresol
	optFlags      = 2 // of a packet: epb_flags
	optReceived   = 4 // of statistics: isb_ifrecv
	optDropped    = 5 // isb_ifdrop

	inbound, outbound = 1, 2
	nanoseconds       = 9
)

// Interface describes what was listened to.
type Interface struct {
	Name string
	MAC  [6]byte // of the guest; zero: not known
	Snap int     // bytes kept of a frame; 0: DefaultSnap
}

// Writer writes a file of one section and one interface. After an error it must not
// be used any more.
type Writer struct {
	w io.Writer
	b []byte // a block
}

// NewWriter writes the beginning of a file. The caller keeps w.
func NewWriter(w io.Writer, i Interface) (*Writer, error) {
	if i.Snap == 0 {
		i.Snap = DefaultSnap
	}
	c := &Writer{w: w}
	c.begin(blockSection)
	c.put32(sectionMagic)
	c.put16(1) // version 1.0
	c.put16(0)
	c.put32(0xFFFFFFFF) // length: not known
	c.put32(0xFFFFFFFF)
	c.option(optSoftware, []byte("goxl"))
	if err := c.end(); err != nil {
		return nil, err
	}
	c.begin(blockInterface)
	c.put16(linkEthernet)
	c.put16(0)
	c.put32(uint32(i.Snap))
	c.option(optName, []byte(i.Name))
	if i.MAC != [6]byte{} {
		c.option(optMAC, i.MAC[:])
	}
	c.option(optResolution, []byte{nanoseconds})
	return c, c.end()
}

// Packet writes a frame. Directions are the interface's: what the guest sends comes
// in.
func (c *Writer) Packet(p Packet) error {
	c.begin(blockPacket)
	c.put32(0) // the only interface
	c.stamp(uint64(p.Time.UnixNano()))
	c.put32(uint32(len(p.Data)))
	c.put32(uint32(p.Len))
	c.padded(p.Data)
	direction := uint32(outbound)
	if p.FromGuest {
		direction = inbound
	}
	c.option(optFlags, binary.LittleEndian.AppendUint32(nil, direction))
	return c.end()
}

// Stats writes how many frames passed in all, and how many of them are missing because
// they came too fast. It belongs at the end.
func (c *Writer) Stats(at time.Time, received, dropped uint64) error {
	c.begin(blockStats)
	c.put32(0)
	c.stamp(uint64(at.UnixNano()))
	c.option(optReceived, binary.LittleEndian.AppendUint64(nil, received))
	c.option(optDropped, binary.LittleEndian.AppendUint64(nil, dropped))
	return c.end()
}

func (c *Writer) begin(block uint32) {
	c.b = c.b[:0]
	c.put32(block)
	c.put32(0) // the length, set at the end
}

// end closes the options and the block and writes it with one call, so that a file
// that is cut off ends between blocks.
func (c *Writer) end() error {
	c.put16(optEnd)
	c.put16(0)
	n := uint32(len(c.b) + 4)
	binary.LittleEndian.PutUint32(c.b[4:], n)
	c.put32(n)
	if _, err := c.w.Write(c.b); err != nil {
		return fmt.Errorf("write capture: %w", err)
	}
	return nil
}

func (c *Writer) put16(v uint16) { c.b = binary.LittleEndian.AppendUint16(c.b, v) }
func (c *Writer) put32(v uint32) { c.b = binary.LittleEndian.AppendUint32(c.b, v) }

func (c *Writer) stamp(ns uint64) {
	c.put32(uint32(ns >> 32))
	c.put32(uint32(ns))
}

// padded appends data and zeroes up to a multiple of four bytes.
func (c *Writer) padded(data []byte) {
	c.b = append(c.b, data...)
	for len(c.b)%4 != 0 {
		c.b = append(c.b, 0)
	}
}

func (c *Writer) option(code uint16, value []byte) {
	value = value[:min(len(value), 0xFFFF)]
	c.put16(code)
	c.put16(uint16(len(value)))
	c.padded(value)
}
