package packet

import (
	"errors"
	"fmt"

	"goxl/netback/netif"
	"goxl/xenctrl/abi"
)

// Limits of a packet that a guest sends. Frontends may use MinSlots slots at
// least; a packet of more than maxPieces is dropped, one of more than fatalPieces
// was made to do harm. The kernel's backend has the same limits.
const (
	maxPieces   = 1 + netif.MinSlots
	fatalPieces = 21
	maxExtras   = 4 // as many as there are types
	ethHeader   = 14
)

// ErrProtocol says that a guest broke the rules of the ring, so that what follows
// in it cannot be trusted. It ends the device.
var ErrProtocol = errors.New("the frontend broke the protocol")

// Reasons to drop a packet while the ring goes on.
var (
	errTooManySlots = errors.New("packet of too many slots")
	errSizes        = errors.New("pieces are larger than the packet")
	errTiny         = errors.New("packet smaller than an Ethernet header")
	errGSO          = errors.New("segmentation offload of unknown kind or size zero")
)

// Slots gives the requests of a transmit ring, one by one. Next copies the next
// slot to req, or reports false when there is none.
type Slots interface {
	Next(req []byte) (bool, error)
}

// Piece is a part of a packet in a page of the guest's. Offset and Len lie within
// the page. The pieces of a dropped packet, and of a request about multicast, have
// only their ID.
type Piece struct {
	Ref    abi.GrantRef
	ID     uint16
	Offset uint16
	Len    uint16
}

// Tx is one packet that a guest sends, as its slots describe it. The zero value is
// ready for Read, and may be used again and again; it allocates nothing.
type Tx struct {
	Size          int             // bytes of the frame
	Extras        int             // extra info slots, which follow the first piece's
	ChecksumBlank bool            // the transport checksum is to be completed
	Validated     bool            // the guest says that the checksum is right
	GSO           netif.GSOType   // of a frame that stands for many segments
	SegmentSize   uint16          // payload bytes of each of them
	Mcast         netif.ExtraType // ExtraMcastAdd or ExtraMcastDel: no packet but a request
	Addr          [6]byte         // of that request
	Drop          error           // why the packet must not be sent; nil: it may

	piece  [fatalPieces]Piece
	pieces int
	slot   [netif.TxSlotSize]byte
}

// Pieces returns the pieces in the order in which they make the frame. Each of
// them is owed a response. The slice is valid until the next Read.
func (p *Tx) Pieces() []Piece { return p.piece[:p.pieces] }

// Slots returns how many slots the packet took, all of which are owed a response.
func (p *Tx) Slots() int { return p.pieces + p.Extras }

// Read takes the next packet from the ring, or reports false when there is none.
// An ErrProtocol, or what the ring itself reports, ends the device.
func (p *Tx) Read(from Slots) (bool, error) {
	*p = Tx{}
	ok, err := from.Next(p.slot[:])
	if err != nil || !ok {
		return false, err
	}
	first := netif.ParseTxRequest(p.slot[:])
	p.Size = int(first.Size)
	p.ChecksumBlank = first.Flags&netif.TxChecksumBlank != 0
	p.Validated = p.ChecksumBlank || first.Flags&netif.TxDataValidated != 0
	p.add(first)
	if first.Flags&netif.TxExtraInfo != 0 {
		if err := p.readExtras(from); err != nil {
			return false, err
		}
	}
	if p.Mcast != 0 { // has no data, whatever the request says
		p.piece[0] = Piece{ID: first.ID}
		return true, nil
	}
	if first.Flags&netif.TxMoreData != 0 {
		if err := p.readRest(from); err != nil {
			return false, err
		}
	}
	return true, p.finish()
}

func (p *Tx) add(r netif.TxRequest) {
	p.piece[p.pieces] = Piece{Ref: r.Ref, ID: r.ID, Offset: r.Offset, Len: r.Size}
	p.pieces++
}

func (p *Tx) readExtras(from Slots) error {
	for more := true; more; {
		if p.Extras == maxExtras {
			return fmt.Errorf("%w: more than %d extra infos", ErrProtocol, maxExtras)
		}
		if ok, err := from.Next(p.slot[:]); err != nil {
			return err
		} else if !ok {
			return fmt.Errorf("%w: extra info announced and not sent", ErrProtocol)
		}
		p.Extras++
		e := netif.ParseExtra(p.slot[:])
		more = e.More
		switch {
		case !e.Type.Valid():
			return fmt.Errorf("%w: extra info of type %d", ErrProtocol, e.Type)
		case e.Type == netif.ExtraGSO:
			p.GSO, p.SegmentSize = e.GSO, e.SegmentSize
			if e.SegmentSize == 0 || e.GSO != netif.GSOTCPv4 && e.GSO != netif.GSOTCPv6 {
				p.drop(errGSO)
			}
		case (e.Type == netif.ExtraMcastAdd || e.Type == netif.ExtraMcastDel) && p.Mcast == 0:
			p.Mcast, p.Addr = e.Type, e.Addr
		}
	}
	return nil
}

// readRest reads the pieces after the first. The first one's size is the whole
// packet's, so that what the others have is taken off it.
func (p *Tx) readRest(from Slots) error {
	for more := true; more; {
		if ok, err := from.Next(p.slot[:]); err != nil {
			return err
		} else if !ok {
			return fmt.Errorf("%w: packet ends in its middle", ErrProtocol)
		}
		if p.pieces == fatalPieces {
			return fmt.Errorf("%w: packet of more than %d slots", ErrProtocol, fatalPieces)
		}
		r := netif.ParseTxRequest(p.slot[:])
		if int(r.Offset)+int(r.Size) > abi.PageSize {
			return fmt.Errorf("%w: %d bytes at offset %d cross the page", ErrProtocol, r.Size, r.Offset)
		}
		p.add(r)
		switch {
		case p.pieces > maxPieces:
			p.drop(errTooManySlots)
		case r.Size > p.piece[0].Len:
			p.drop(errSizes) // also a frame of 64 KiB and more, whose size overflowed
		default:
			p.piece[0].Len -= r.Size
		}
		more = r.Flags&netif.TxMoreData != 0
	}
	return nil
}

func (p *Tx) finish() error {
	first := &p.piece[0]
	if p.Size < ethHeader {
		p.drop(errTiny)
	}
	if p.Drop == nil && int(first.Offset)+int(first.Len) > abi.PageSize {
		return fmt.Errorf("%w: %d bytes at offset %d cross the page", ErrProtocol, first.Len, first.Offset)
	}
	if p.Drop != nil {
		for i := range p.pieces {
			p.piece[i] = Piece{ID: p.piece[i].ID}
		}
	}
	return nil
}

// drop keeps the first reason.
func (p *Tx) drop(why error) {
	if p.Drop == nil {
		p.Drop = why
	}
}
