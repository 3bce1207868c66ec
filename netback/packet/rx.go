package packet

import (
	"errors"

	"goxl/netback/netif"
	"goxl/xenctrl/abi"
)

// Reasons not to give a frame to a guest.
var (
	errTapHeader = errors.New("the tap's header asks for what the frontend did not accept")
	errNoSG      = errors.New("frame is larger than a page, and the frontend takes one page only")
)

// Accepts is what a frontend takes from us.
type Accepts struct {
	SG           bool // frames of several pages
	ChecksumIPv4 bool // frames with a blank checksum
	ChecksumIPv6 bool
	GSOTCPv4     bool // frames that stand for many segments
	GSOTCPv6     bool
}

// Rx is a frame on its way to a guest: what its slots say.
type Rx struct {
	Len         int // bytes of the frame
	flags       netif.RxFlags
	gso         netif.GSOType
	segmentSize uint16
	hash        Hash
	hashed      bool
}

// MaxRxSlots is how many slots a frame takes at most: its pages and two extra infos.
const MaxRxSlots = (netif.MaxPacket+ethHeader+abi.PageSize-1)/abi.PageSize + 2

// NewRx looks at a frame that the tap gave under header h. Where the frontend does
// not take blank checksums it completes the checksum in f. The error says why the
// frame must be dropped.
func NewRx(f []byte, h VNet, a Accepts) (Rx, error) {
	p := Rx{Len: len(f)}
	switch h.GSOType &^ vnetECN {
	case 0:
	case vnetTCPv4:
		p.gso = netif.GSOTCPv4
	case vnetTCPv6:
		p.gso = netif.GSOTCPv6
	default:
		return p, errTapHeader
	}
	if p.gso == netif.GSOTCPv4 && !a.GSOTCPv4 || p.gso == netif.GSOTCPv6 && !a.GSOTCPv6 {
		return p, errTapHeader
	}
	p.segmentSize = h.SegmentSize
	if h.Flags&vnetNeedsChecksum != 0 {
		ether, _ := etherType(f)
		blank := a.ChecksumIPv4 && ether == etherIPv4 || a.ChecksumIPv6 && ether == etherIPv6
		switch {
		case blank:
			p.flags |= netif.RxChecksumBlank | netif.RxDataValidated
		case p.gso != netif.GSONone || !completeChecksum(f, &h):
			return p, errTapHeader
		}
	}
	if h.Flags&vnetDataValid != 0 {
		p.flags |= netif.RxDataValidated
	}
	switch {
	case len(f) < ethHeader:
		return p, errTiny
	case !a.SG && p.pages() > 1, p.Slots() > MaxRxSlots:
		return p, errNoSG
	}
	return p, nil
}

func (p *Rx) pages() int { return (p.Len + abi.PageSize - 1) / abi.PageSize }

// SetHash has the frontend told the frame's hash. Only one that chose an algorithm
// understands that.
func (p *Rx) SetHash(h Hash) { p.hash, p.hashed = h, true }

// extras returns how many extra infos follow the first slot.
func (p *Rx) extras() (n int) {
	if p.gso != netif.GSONone {
		n++
	}
	if p.hashed {
		n++
	}
	return n
}

// putExtra writes extra info number i: what segmentation there is comes first.
func (p *Rx) putExtra(slot []byte, i int) {
	e := netif.Extra{Type: netif.ExtraHash, HashType: p.hash.Type, Algorithm: netif.HashToeplitz, Hash: p.hash.Value}
	if i == 0 && p.gso != netif.GSONone {
		e = netif.Extra{Type: netif.ExtraGSO, GSO: p.gso, SegmentSize: p.segmentSize, More: p.hashed}
	}
	e.Put(slot)
}

// Slots returns how many slots the frame takes.
func (p *Rx) Slots() int { return p.pages() + p.extras() }

// Put writes the response for the frame's slot i to slot, which may be the ring's
// copy of the request r, and returns which bytes of the frame belong into the page
// of that request, at its start: none for extra infos, which follow slot 0.
func (p *Rx) Put(slot []byte, i int, r netif.RxRequest) (from, to int) {
	page, extras := i, p.extras()
	if i > 0 {
		if i <= extras {
			p.putExtra(slot, i-1)
			return 0, 0
		}
		page -= extras
	}
	from = page * abi.PageSize
	to = min(from+abi.PageSize, p.Len)
	resp := netif.RxResponse{ID: r.ID, Status: netif.Status(to - from)}
	if i == 0 {
		resp.Flags = p.flags
		if extras > 0 {
			resp.Flags |= netif.RxExtraInfo
		}
	}
	if to < p.Len {
		resp.Flags |= netif.RxMoreData
	}
	resp.Put(slot)
	return from, to
}
