package packet

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"goxl/netback/netif"
	"goxl/xenctrl/abi"
)

// received is what a frontend makes of responses, by the rules of netif.h.
type received struct {
	frame     []byte
	flags     netif.RxFlags
	gso       netif.GSOType
	segment   uint16
	slotsUsed int
}

// receive puts a frame into slots and pages and takes it out as a frontend does.
func receive(t interface{ Fatalf(string, ...any) }, f []byte, p *Rx) received {
	var r received
	var all [][]byte
	var page [][]byte
	for i := range p.Slots() {
		slot := bytes.Repeat([]byte{0xee}, netif.RxSlotSize)
		from, to := p.Put(slot, i, netif.RxRequest{ID: uint16(70 + i), Ref: 1})
		all, page = append(all, slot), append(page, f[from:to])
	}
	extra, wants := false, true
	for i, slot := range all {
		r.slotsUsed++
		if extra {
			e := netif.ParseExtra(slot)
			if e.Type != netif.ExtraGSO || e.More || len(page[i]) != 0 {
				t.Fatalf("slot %d: extra %+v with %d bytes", i, e, len(page[i]))
			}
			r.gso, r.segment, extra = e.GSO, e.SegmentSize, false
			continue
		}
		resp := netif.ParseRxResponse(slot)
		if !wants || int(resp.Status) != len(page[i]) || resp.Status <= 0 || resp.Offset != 0 || int(resp.ID) != 70+i || len(page[i]) > abi.PageSize {
			t.Fatalf("slot %d: response %+v with %d bytes, wanted: %v", i, resp, len(page[i]), wants)
		}
		if i == 0 {
			r.flags = resp.Flags
		}
		r.frame = append(r.frame, page[i]...)
		extra, wants = resp.Flags&netif.RxExtraInfo != 0, resp.Flags&netif.RxMoreData != 0
	}
	if extra || wants {
		t.Fatalf("the frame does not end with its slots")
	}
	return r
}

var all = Accepts{SG: true, ChecksumIPv4: true, ChecksumIPv6: true, GSOTCPv4: true, GSOTCPv6: true}

func TestRxRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := []byte(tcp4(rapid.IntRange(0, netif.MaxPacket-60).Draw(t, "payload")))
		h := VNet{}
		seg := rapid.Bool().Draw(t, "segments")
		if seg {
			h = VNet{vnetNeedsChecksum, vnetTCPv4, 54, 1448, 34, 16}
		}
		p, err := NewRx(f, h, all)
		if err != nil {
			t.Fatal(err)
		}
		r := receive(t, f, &p)
		if !bytes.Equal(r.frame, f) || r.slotsUsed > MaxRxSlots {
			t.Errorf("%d bytes in %d slots, want %d", len(r.frame), r.slotsUsed, len(f))
		}
		if seg != (r.gso == netif.GSOTCPv4 && r.segment == 1448 && r.flags&netif.RxChecksumBlank != 0) {
			t.Errorf("segments %v: %+v", seg, r.flags)
		}
	})
}

func TestRxOffloads(t *testing.T) {
	needs := func(f frame, kind uint8) VNet {
		tr, _ := findTransport(f)
		return VNet{vnetNeedsChecksum, kind, 0, 1448, uint16(tr.start), uint16(tr.checksum)}
	}
	noCsum, noSeg, only4, noSG := all, all, all, all
	noCsum.ChecksumIPv4, noCsum.ChecksumIPv6 = false, false
	noSeg.GSOTCPv4, noSeg.GSOTCPv6 = false, false
	only4.ChecksumIPv6 = false
	noSG.SG = false
	const blankFlags = netif.RxChecksumBlank | netif.RxDataValidated
	for _, tt := range []struct {
		name  string
		frame frame
		h     VNet
		a     Accepts
		flags netif.RxFlags
		right bool // the checksum was completed
		err   error
	}{
		{"nothing", tcp4(10), VNet{}, all, 0, false, nil},
		{"checked already", tcp4(10), VNet{Flags: vnetDataValid}, all, netif.RxDataValidated, false, nil},
		{"blank", tcp4(10).blank(), needs(tcp4(10), 0), all, blankFlags, false, nil},
		{"blank, not accepted", tcp4(10).blank(), needs(tcp4(10), 0), noCsum, 0, true, nil},
		{"blank IPv6, IPv4 accepted", tcp6(10).blank(), needs(tcp6(10), 0), only4, 0, true, nil},
		{"segments", tcp6(9000).blank(), needs(tcp6(9), vnetTCPv6), all, blankFlags | netif.RxExtraInfo | netif.RxMoreData, false, nil},
		{"segments with ECN", tcp4(9).blank(), needs(tcp4(9), vnetTCPv4|vnetECN), all, blankFlags | netif.RxExtraInfo, false, nil},
		{"segments, not accepted", tcp4(9000).blank(), needs(tcp4(9), vnetTCPv4), noSeg, 0, false, errTapHeader},
		{"segments without checksum offload", tcp4(9000).blank(), needs(tcp4(9), vnetTCPv4), noCsum, 0, false, errTapHeader},
		{"UDP segments", udp4(9000), needs(udp4(9), 3), all, 0, false, errTapHeader},
		{"two pages, one accepted", tcp4(5000), VNet{}, noSG, 0, false, errNoSG},
		{"tiny", tcp4(0)[:13], VNet{}, all, 0, false, errTiny},
		{"checksum outside the frame", tcp4(0), VNet{Flags: vnetNeedsChecksum, ChecksumStart: 60000, ChecksumOffset: 60000}, noCsum, 0, false, errTapHeader},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := NewRx(tt.frame, tt.h, tt.a)
			if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Fatalf("NewRx() = %v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			if r := receive(t, tt.frame, &p); r.flags != tt.flags {
				t.Errorf("flags %#x, want %#x", r.flags, tt.flags)
			}
			if tt.right && !tt.frame.sumRight() {
				t.Error("the checksum is wrong")
			}
		})
	}
}
